/* Balls, fruit, boxes, books, phones, cloths, toys. */
#include "world/maker.h"

static void round_thing(Maker *k, V3 h, Pattern pattern, V3 base, V3 accent, float shine) {
  Part *p = make_part(k, pattern, 128, base, accent, 1, 1, shine, 25);
  k->failed |= !mesh_ellipsoid(&p->mesh, k->arena, v3(0, h.y, 0), h, 28);
  make_solid(k, SOLID_ELLIPSOID, v3(0, h.y, 0), h, 0, 0);
  make_site(k, GRASP_PINCH, v3(0, h.y, 0), AXIS_X, ANY_SIDE, h.x);
  make_site(k, GRASP_PINCH, v3(0, h.y, 0), AXIS_Z, AXIS_Y, h.z);
  k->t->radius = maxf(h.x, h.z);
}

void thing_ball(Maker *k) {
  float r = between(k, 0.022, 0.04);
  Pattern look[] = {PATTERN_PLAIN, PATTERN_STRIPES, PATTERN_DOTS, PATTERN_CHECK, PATTERN_SHAPES};
  round_thing(k, v3(r, r, r), look[random_below(k->r, 5)], any_colour(k), any_colour(k), between(k, 0, 0.4));
  k->t->name = "ball";
}

void thing_fruit(Maker *k) {
  static const V3 colour[][2] = {
      {{0.5f, 0.03f, 0.02f}, {0.6f, 0.4f, 0.05f}},  {{0.3f, 0.5f, 0.05f}, {0.5f, 0.15f, 0.04f}},
      {{0.8f, 0.3f, 0.02f}, {0.7f, 0.4f, 0.05f}},   {{0.75f, 0.6f, 0.06f}, {0.5f, 0.5f, 0.1f}},
      {{0.6f, 0.05f, 0.03f}, {0.5f, 0.1f, 0.03f}},  {{0.35f, 0.22f, 0.1f}, {0.2f, 0.12f, 0.06f}},
      {{0.62f, 0.33f, 0.2f}, {0.65f, 0.25f, 0.12f}}};
  static const char *const name[] = {"apple", "apple", "orange", "lemon", "tomato", "potato", "peach"};
  int which = (int)random_below(k->r, 7);
  float r = between(k, 0.026, 0.038), tall = which == 3 ? 1.25f : which == 5 ? 1.3f : between(k, 0.88, 1);
  round_thing(k, v3(r, r * tall, r * between(k, 0.94, 1)), PATTERN_FRUIT, colour[which][0], colour[which][1],
              0.2f);
  if (which < 2) {
    const V3 at[3] = {{0, 2 * r * tall - 0.004f, 0},
                      {0.001f, 2 * r * tall + 0.004f, 0},
                      {0.004f, 2 * r * tall + 0.011f, 0}};
    const float a[3] = {0.0016f, 0.0014f, 0.002f};
    make_bar(k, make_part(k, PATTERN_PLAIN, 64, v3(0.08f, 0.04f, 0.02f), v3(0, 0, 0), 1, 1, 0, 1), at, a, a,
             3);
  }
  k->t->name = name[which];
}

void thing_banana(Maker *k) {
  enum { N = 13 };
  V3 at[N];
  float a[N], b[N], r = between(k, 0.015, 0.019), length = between(k, 0.15, 0.19),
                    bow = between(k, 0.018, 0.035);
  for (int i = 0; i < N; i++) {
    float t = (float)i / (N - 1), s = 2 * t - 1;
    at[i] = v3(bow * (s * s - 0.33f), length * t, 0);
    a[i] = r * (0.22f + 0.78f * sqrtf(maxf(0, 1 - s * s * s * s * s * s)));
    b[i] = a[i] * 0.94f;
  }
  make_bar(k,
           make_part(k, PATTERN_FRUIT, 128, v3(0.75f, 0.5f, 0.04f), v3(0.55f, 0.45f, 0.05f), 1, 1, 0.12f, 20),
           at, a, b, N);
  for (int i = 0; i + 3 < N; i += 3) make_solid(k, SOLID_LIMB, at[i], at[i + 3], a[i], a[i + 3]);
  make_site(k, GRASP_WRAP, at[4 + random_below(k->r, 4)], AXIS_Y, ANY_SIDE, r);
  k->t->radius = length / 2, k->t->name = "banana";
}

/* A box standing on y = 0 with its solid. */
static void block(Maker *k, V3 h, float round, Pattern pattern, V3 base, V3 accent, float shine) {
  make_box(k, make_part(k, pattern, 256, base, accent, 1, 1, shine, 30), v3(0, h.y, 0), h, round);
  make_solid(k, SOLID_BOX, v3(0, h.y, 0), h, round, 0);
  k->t->radius = hypotf(h.x, h.z);
}

void thing_carton(Maker *k) {
  V3 h = v3(between(k, 0.018, 0.038), between(k, 0.05, 0.12), between(k, 0.035, 0.08));
  block(k, h, between(k, 0.001, 0.004), PATTERN_LABEL, any_colour(k), vivid(k), 0.1f);
  make_site(k, GRASP_PINCH, v3(0, 2 * h.y - 0.025f, 0), AXIS_X, AXIS_Y, h.x);
  make_site(k, GRASP_PINCH, v3(0, h.y, h.z - 0.02f), AXIS_X, AXIS_Z, h.x);
  k->t->upright = 1, k->t->name = "box";
}

void thing_big_box(Maker *k) {
  V3 h = v3(between(k, 0.08, 0.13), between(k, 0.04, 0.1), between(k, 0.06, 0.11));
  Pattern look[] = {PATTERN_LABEL, PATTERN_PLAIN, PATTERN_WOOD, PATTERN_SHAPES};
  block(k, h, between(k, 0.002, 0.008), look[random_below(k->r, 4)], any_colour(k), any_colour(k), 0.05f);
  make_site(k, GRASP_PALM, v3(-h.x, h.y, 0), v3(-1, 0, 0), ANY_SIDE, h.x);
  make_site(k, GRASP_PALM, v3(h.x, h.y, 0), AXIS_X, ANY_SIDE, h.x);
  k->t->upright = 1, k->t->name = "box";
}

void thing_book(Maker *k) {
  V3 h = v3(between(k, 0.06, 0.1), between(k, 0.005, 0.016), between(k, 0.085, 0.13));
  block(k, h, 0.0015f, PATTERN_LABEL, any_colour(k), vivid(k), between(k, 0, 0.3));
  make_site(k, GRASP_EDGE, v3(h.x, h.y, 0), AXIS_Y, AXIS_X, h.y);
  make_site(k, GRASP_EDGE, v3(-h.x, h.y, 0), AXIS_Y, v3(-1, 0, 0), h.y);
  make_site(k, GRASP_EDGE, v3(0, h.y, h.z), AXIS_Y, AXIS_Z, h.y);
  k->t->name = "book";
}

void thing_phone(Maker *k) {
  V3 h = v3(between(k, 0.03, 0.038), between(k, 0.004, 0.008), between(k, 0.065, 0.08));
  if (chance(k, 0.35)) h = v3(between(k, 0.02, 0.025), between(k, 0.008, 0.011), between(k, 0.07, 0.095));
  block(k, h, 0.0035f, PATTERN_SCREEN, colour_any(k->r, 0, 0.3, 0.05, 0.4), dull(k), 0.3f);
  make_site(k, GRASP_WRAP, v3(0, h.y, 0), AXIS_Z, v3(0, -1, 0), h.y);
  make_site(k, GRASP_EDGE, v3(0, h.y, h.z), AXIS_Y, AXIS_Z, h.y);
  k->t->name = h.x < 0.027f ? "remote" : "phone";
}

void thing_sponge(Maker *k) {
  V3 h = v3(between(k, 0.025, 0.036), between(k, 0.01, 0.02), between(k, 0.04, 0.06));
  block(k, h, 0.004f, PATTERN_TERRAZZO, vivid(k), dull(k), 0);
  make_site(k, GRASP_PINCH, v3(0, h.y * 1.2f, 0), AXIS_X, AXIS_Y, h.x);
  k->t->name = "sponge";
}

void thing_cloth(Maker *k) {
  float w = between(k, 0.14, 0.26), h = between(k, 0.14, 0.26), folds = between(k, 2, 4),
        phase = between(k, 0, 6);
  Pattern look[] = {PATTERN_CHECK, PATTERN_STRIPES, PATTERN_KNIT, PATTERN_DOTS, PATTERN_PLAIN};
  Part *p = make_part(k, look[random_below(k->r, 5)], 128, any_colour(k), any_colour(k), 1, 1, 0, 1);
  p->material.two_sided = 1;
  if (!mesh_sheet(&p->mesh, k->arena, w, h, 26, 26)) {
    k->failed = 1;
    return;
  }
  for (int i = 0; i < p->mesh.vertices; i++) { /* gathered at the hand, fanning out below */
    float u = p->mesh.uv[i][0] - 0.5f, v = p->mesh.uv[i][1], fan = 0.12f + 0.7f * powf(v, 0.6f);
    p->mesh.p[i] = v3(u * w * fan, 0.02f - h * v * (1 - 0.18f * fabsf(u)) + 0.008f * sinf(u * 9 + phase),
                      (0.006f + 0.028f * v) * sinf(2 * PI * folds * u + phase + 1.5f * v));
  }
  mesh_normals(&p->mesh);
  make_solid(k, SOLID_LIMB, v3(0, 0.02f, 0), v3(0, -0.03f, 0), 0.008f, 0.014f);
  make_site(k, GRASP_PINCH, v3(0, 0.0f, 0), AXIS_Z, AXIS_Y, 0.009f);
  k->t->soft = 1, k->t->upright = 1, k->t->radius = 0.1f, k->t->name = "cloth";
}

void thing_toy(Maker *k) {
  V3 base = any_colour(k), accent = any_colour(k);
  float r = between(k, 0.026, 0.036);
  Pattern look = chance(k, 0.5) ? PATTERN_KNIT : PATTERN_PLAIN;
  Part *body = make_part(k, look, 128, base, accent, 1, 1, 0, 1);
  V3 hips = v3(r, r * 1.25f, r * 0.9f);
  k->failed |= !mesh_ellipsoid(&body->mesh, k->arena, v3(0, hips.y, 0), hips, 22);
  make_solid(k, SOLID_ELLIPSOID, v3(0, hips.y, 0), hips, 0, 0);
  Part *head = make_again(k);
  float hr = r * between(k, 0.8, 1.05), top = 2 * hips.y + hr * 0.75f;
  k->failed |= !mesh_ellipsoid(&head->mesh, k->arena, v3(0, top, 0), v3(hr * 1.1f, hr, hr), 22);
  make_solid(k, SOLID_ELLIPSOID, v3(0, top, 0), v3(hr * 1.1f, hr, hr), 0, 0);
  for (int side = -1; side < 2; side += 2) { /* arms and ears in one bent bar each */
    Part *limbs = make_again(k);
    V3 at[4] = {{(float)side * r * 1.5f, hips.y * 0.9f, r * 0.6f},
                {(float)side * r * 0.8f, hips.y * 1.5f, 0},
                {(float)side * hr * 0.7f, top + hr * 0.4f, 0},
                {(float)side * hr * 1.05f, top + hr * 1.1f, 0}};
    float a[4] = {r * 0.3f, r * 0.34f, hr * 0.3f, hr * 0.3f};
    make_bar(k, limbs, at, a, a, 4);
  }
  Part *face = make_part(k, PATTERN_DOTS, 64, accent, v3(0.01f, 0.01f, 0.01f), 1, 1, 0.1f, 20);
  k->failed |= !mesh_ellipsoid(&face->mesh, k->arena, v3(0, top - hr * 0.2f, hr * 0.75f),
                               v3(hr * 0.45f, hr * 0.36f, hr * 0.4f), 16);
  make_site(k, GRASP_WRAP, v3(0, hips.y * 1.1f, 0), AXIS_Y, ANY_SIDE, r);
  k->t->upright = 1, k->t->radius = 1.5f * r, k->t->name = "toy";
}

void thing_car(Maker *k) {
  V3 h = v3(between(k, 0.04, 0.06), between(k, 0.009, 0.013), between(k, 0.017, 0.025)), paint = vivid(k);
  float wheel = h.y * 0.95f;
  make_box(k, make_part(k, PATTERN_STRIPES, 64, paint, any_colour(k), 1, 0.5f, 0.5f, 50),
           v3(0, wheel + h.y, 0), h, 0.005f);
  make_box(k,
           make_part(k, PATTERN_PLAIN, 64, chance(k, 0.5) ? paint : v3(0.05f, 0.06f, 0.08f), paint, 1, 1,
                     0.5f, 50),
           v3(-h.x * 0.12f, wheel + 2.7f * h.y, 0), v3(h.x * 0.52f, h.y * 0.9f, h.z * 0.85f), 0.006f);
  for (int i = 0; i < 4; i++) {
    const float p[][2] = {{0, 0},          {wheel, 0},      {wheel, 0},
                          {wheel, 0.009f}, {wheel, 0.009f}, {wheel * 0.5f, 0.009f},
                          {0, 0.008f}};
    Part *w =
        i ? make_again(k)
          : make_part(k, PATTERN_PLAIN, 64, v3(0.02f, 0.02f, 0.02f), v3(0.3f, 0.3f, 0.3f), 1, 1, 0.05f, 10);
    make_revolve(k, w, p, 7);
    Pose to = pose_turn(AXIS_X, i % 2 ? PI / 2 : -PI / 2);
    to.o = v3(h.x * (i < 2 ? 0.62f : -0.62f), wheel, (i % 2 ? 1.0f : -1.0f) * (h.z - 0.004f));
    if (!k->failed) make_move(w, &to);
  }
  make_solid(k, SOLID_BOX, v3(0, wheel + h.y, 0), h, 0.004f, 0);
  make_solid(k, SOLID_BOX, v3(-h.x * 0.12f, wheel + 2.7f * h.y, 0), v3(h.x * 0.52f, h.y * 0.9f, h.z * 0.85f),
             0.005f, 0);
  make_site(k, GRASP_PINCH, v3(-h.x * 0.1f, wheel + 2.2f * h.y, 0), AXIS_Z, AXIS_Y, h.z);
  k->t->upright = 1, k->t->radius = h.x, k->t->name = "toy car";
}
