/* The catalogue: each kind is a few lathed, boxed or tubed parts with random measures, textures, coarse
 * solids for the fingers, and places to hold. Measures are those of things around the house. */
#include "world/thing.h"

#include <string.h>

typedef struct Maker {
  Thing *t;
  Arena *arena;
  Random *r;
  int failed;
} Maker;

static float between(Maker *k, double a, double b) { return (float)random_range(k->r, a, b); }
static int chance(Maker *k, double p) { return random_uniform(k->r) < p; }
static V3 vivid(Maker *k) { return colour_any(k->r, 0.45, 1, 0.3, 0.95); }
static V3 dull(Maker *k) { return colour_any(k->r, 0, 0.35, 0.1, 0.95); }
static V3 any(Maker *k) { return chance(k, 0.6) ? vivid(k) : dull(k); }

int material_make(Material *m, Arena *arena, Random *r, Pattern pattern, int size, V3 base, V3 accent,
                  float repeat_u, float repeat_v, float shine, float sharp) {
  *m = (Material){.repeat_u = repeat_u, .repeat_v = repeat_v, .shine = shine, .sharp = sharp};
  return (m->texture = texture_make(arena, r, pattern, size, base, accent)) != NULL;
}

static Part *part(Maker *k, Pattern pattern, int size, V3 base, V3 accent, float ru, float rv, float shine,
                  float sharp) {
  Part *p = &k->t->part[k->t->parts++];
  k->failed |=
      !material_make(&p->material, k->arena, k->r, pattern, size, base, accent, ru, rv, shine, sharp);
  return p;
}

/* One more part with the last part's material. */
static Part *again(Maker *k) {
  Part *p = &k->t->part[k->t->parts++];
  p->material = p[-1].material;
  return p;
}

static void revolve(Maker *k, Part *p, const float (*profile)[2], int n) {
  k->failed |= !mesh_revolve(&p->mesh, k->arena, profile, n, 28);
}

static void move(Part *p, const Pose *to) {
  for (int i = 0; i < p->mesh.vertices; i++) {
    p->mesh.p[i] = pose_point(to, p->mesh.p[i]);
    p->mesh.n[i] = pose_vector(to, p->mesh.n[i]);
  }
}

static void box(Maker *k, Part *p, V3 centre, V3 h, float round) {
  if (!mesh_box(&p->mesh, k->arena, h, round)) {
    k->failed = 1;
    return;
  }
  Pose to = pose_identity();
  to.o = centre;
  move(p, &to);
}

/* A round bar with swelling radii along straight segments. */
static void bar(Maker *k, Part *p, const V3 *at, const float *a, const float *b, int n) {
  k->failed |= !mesh_tube(&p->mesh, k->arena, at, a, b, n, v3(1, 0, 0.02f), 14);
}

/* Keeps the profile for the fingers. */
static void solid_revolved(Maker *k, const float (*profile)[2], int n) {
  float(*copy)[2] = arena_take(k->arena, (size_t)n * sizeof *copy);
  if (!copy) {
    k->failed = 1;
    return;
  }
  memcpy(copy, profile, (size_t)n * sizeof *copy);
  k->t->solid[k->t->solids++] = (Solid){.kind = SOLID_REVOLVED, .profile = (const float(*)[2])copy, .n = n};
}
static void solid(Maker *k, SolidKind kind, V3 a, V3 b, float ra, float rb) {
  k->t->solid[k->t->solids++] = (Solid){.kind = kind, .a = a, .b = b, .ra = ra, .rb = rb};
}
static void site(Maker *k, GraspKind kind, V3 at, V3 axis, V3 reach, float size) {
  k->t->site[k->t->sites++] = (Site){kind, at, axis, reach, size};
}

static const V3 X = {1, 0, 0}, Y = {0, 1, 0}, Z = {0, 0, 1}, ANY = {0, 0, 0};

static void bottle(Maker *k) {
  float r = between(k, 0.024, 0.037), h = between(k, 0.15, 0.25), neck = r * between(k, 0.35, 0.55);
  float body = h * between(k, 0.55, 0.7), top = h * between(k, 0.86, 0.92);
  const float p[][2] = {{0, 0},
                        {r * 0.9f, 0},
                        {r * 0.9f, 0},
                        {r, 0.006f},
                        {r, body * 0.5f},
                        {r, body},
                        {r * 0.93f, body + (top - body) * 0.25f},
                        {(r + neck) / 2, body + (top - body) * 0.5f},
                        {neck, body + (top - body) * 0.8f},
                        {neck, top}};
  revolve(k,
          part(k, chance(k, 0.75) ? PATTERN_LABEL : PATTERN_PLAIN, 256, any(k), vivid(k), 1, 1,
               between(k, 0.1, 0.6), 60),
          p, 10);
  float c = neck * between(k, 1.05, 1.35);
  const float cap[][2] = {{0, top - 0.002f},
                          {c, top - 0.002f},
                          {c, top - 0.002f},
                          {c, h - 0.002f},
                          {c * 0.9f, h},
                          {c * 0.9f, h},
                          {0, h}};
  revolve(k, part(k, PATTERN_PLAIN, 64, any(k), any(k), 1, 1, 0.25f, 40), cap, 7);
  solid_revolved(k, p + 1, 9);
  site(k, GRASP_WRAP, v3(0, body * between(k, 0.45, 0.8), 0), Y, ANY, r);
  site(k, GRASP_PINCH, v3(0, top, 0), X, Y, c);
  k->t->upright = 1, k->t->radius = r, k->t->name = "bottle";
}

static void cup(Maker *k) {
  float top = between(k, 0.034, 0.045), base = top * between(k, 0.68, 1), h = between(k, 0.075, 0.12),
        w = 0.003f;
  const float p[][2] = {{0, 0},
                        {base, 0},
                        {base, 0},
                        {mixf(base, top, 0.5f), h * 0.5f},
                        {top, h},
                        {top, h},
                        {top - w, h},
                        {top - w, h},
                        {base - w, 0.006f},
                        {base - w, 0.006f},
                        {0, 0.006f}};
  Pattern look[] = {PATTERN_PLAIN, PATTERN_STRIPES, PATTERN_DOTS, PATTERN_LABEL, PATTERN_SHAPES};
  revolve(k, part(k, look[random_below(k->r, 5)], 128, any(k), any(k), 1, 1, between(k, 0.1, 0.5), 50), p,
          11);
  if (chance(k, 0.6)) {
    V3 at[9];
    float a[9];
    for (int i = 0; i < 9; i++) {
      float angle = PI * ((float)i / 8 - 0.5f);
      at[i] = v3(mixf(base, top, 0.5f) - 0.004f + 0.028f * cosf(angle), h * 0.5f + h * 0.3f * sinf(angle), 0);
      a[i] = 0.0052f;
    }
    Part *handle = again(k);
    k->failed |= !mesh_tube(&handle->mesh, k->arena, at, a, a, 9, Z, 10);
  }
  solid_revolved(k, p + 1, 4);
  site(k, GRASP_WRAP, v3(0, h * 0.5f, 0), Y, ANY, mixf(base, top, 0.5f));
  site(k, GRASP_PINCH, v3(0, h * 0.8f, 0), Z, Y, top);
  k->t->upright = 1, k->t->radius = top + 0.015f, k->t->name = "cup";
}

static void can(Maker *k) {
  float r = between(k, 0.026, 0.042), h = between(k, 0.07, 0.14), e = 0.003f;
  const float p[][2] = {{0, 0.002f}, {r - e, 0}, {r - e, 0}, {r, e},     {r, e},
                        {r, h - e},  {r, h - e}, {r - e, h}, {r - e, h}, {0, h - 0.002f}};
  revolve(k, part(k, PATTERN_LABEL, 256, any(k), vivid(k), 1, 1, between(k, 0.15, 0.5), 40), p, 10);
  solid_revolved(k, p + 1, 8);
  site(k, GRASP_WRAP, v3(0, h * 0.55f, 0), Y, ANY, r);
  site(k, GRASP_PINCH, v3(0, h * 0.75f, 0), X, Y, r);
  k->t->upright = 1, k->t->radius = r, k->t->name = "can";
}

static void round_thing(Maker *k, V3 h, Pattern pattern, V3 base, V3 accent, float shine) {
  Part *p = part(k, pattern, 128, base, accent, 1, 1, shine, 25);
  k->failed |= !mesh_ellipsoid(&p->mesh, k->arena, v3(0, h.y, 0), h, 28);
  solid(k, SOLID_ELLIPSOID, v3(0, h.y, 0), h, 0, 0);
  site(k, GRASP_PINCH, v3(0, h.y, 0), X, ANY, h.x);
  site(k, GRASP_PINCH, v3(0, h.y, 0), Z, Y, h.z);
  k->t->radius = maxf(h.x, h.z);
}

static void ball(Maker *k) {
  float r = between(k, 0.022, 0.04);
  Pattern look[] = {PATTERN_PLAIN, PATTERN_STRIPES, PATTERN_DOTS, PATTERN_CHECK, PATTERN_SHAPES};
  round_thing(k, v3(r, r, r), look[random_below(k->r, 5)], any(k), any(k), between(k, 0, 0.4));
  k->t->name = "ball";
}

static void fruit(Maker *k) {
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
    bar(k, part(k, PATTERN_PLAIN, 64, v3(0.08f, 0.04f, 0.02f), v3(0, 0, 0), 1, 1, 0, 1), at, a, a, 3);
  }
  k->t->name = name[which];
}

static void banana(Maker *k) {
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
  bar(k, part(k, PATTERN_FRUIT, 128, v3(0.75f, 0.5f, 0.04f), v3(0.55f, 0.45f, 0.05f), 1, 1, 0.12f, 20), at, a,
      b, N);
  for (int i = 0; i + 3 < N; i += 3) solid(k, SOLID_LIMB, at[i], at[i + 3], a[i], a[i + 3]);
  site(k, GRASP_WRAP, at[4 + random_below(k->r, 4)], Y, ANY, r);
  k->t->radius = length / 2, k->t->name = "banana";
}

/* A box standing on y = 0 with its solid. */
static void block(Maker *k, V3 h, float round, Pattern pattern, V3 base, V3 accent, float shine) {
  box(k, part(k, pattern, 256, base, accent, 1, 1, shine, 30), v3(0, h.y, 0), h, round);
  solid(k, SOLID_BOX, v3(0, h.y, 0), h, round, 0);
  k->t->radius = hypotf(h.x, h.z);
}

static void carton(Maker *k) {
  V3 h = v3(between(k, 0.018, 0.038), between(k, 0.05, 0.12), between(k, 0.035, 0.08));
  block(k, h, between(k, 0.001, 0.004), PATTERN_LABEL, any(k), vivid(k), 0.1f);
  site(k, GRASP_PINCH, v3(0, 2 * h.y - 0.025f, 0), X, Y, h.x);
  site(k, GRASP_PINCH, v3(0, h.y, h.z - 0.02f), X, Z, h.x);
  k->t->upright = 1, k->t->name = "box";
}

static void big_box(Maker *k) {
  V3 h = v3(between(k, 0.08, 0.13), between(k, 0.04, 0.1), between(k, 0.06, 0.11));
  Pattern look[] = {PATTERN_LABEL, PATTERN_PLAIN, PATTERN_WOOD, PATTERN_SHAPES};
  block(k, h, between(k, 0.002, 0.008), look[random_below(k->r, 4)], any(k), any(k), 0.05f);
  site(k, GRASP_PALM, v3(-h.x, h.y, 0), v3(-1, 0, 0), ANY, h.x);
  site(k, GRASP_PALM, v3(h.x, h.y, 0), X, ANY, h.x);
  k->t->upright = 1, k->t->name = "box";
}

static void book(Maker *k) {
  V3 h = v3(between(k, 0.06, 0.1), between(k, 0.005, 0.016), between(k, 0.085, 0.13));
  block(k, h, 0.0015f, PATTERN_LABEL, any(k), vivid(k), between(k, 0, 0.3));
  site(k, GRASP_EDGE, v3(h.x, h.y, 0), Y, X, h.y);
  site(k, GRASP_EDGE, v3(-h.x, h.y, 0), Y, v3(-1, 0, 0), h.y);
  site(k, GRASP_EDGE, v3(0, h.y, h.z), Y, Z, h.y);
  k->t->name = "book";
}

static void phone(Maker *k) {
  V3 h = v3(between(k, 0.03, 0.038), between(k, 0.004, 0.008), between(k, 0.065, 0.08));
  if (chance(k, 0.35)) h = v3(between(k, 0.02, 0.025), between(k, 0.008, 0.011), between(k, 0.07, 0.095));
  block(k, h, 0.0035f, PATTERN_SCREEN, colour_any(k->r, 0, 0.3, 0.05, 0.4), dull(k), 0.3f);
  site(k, GRASP_WRAP, v3(0, h.y, 0), Z, v3(0, -1, 0), h.y);
  site(k, GRASP_EDGE, v3(0, h.y, h.z), Y, Z, h.y);
  k->t->name = h.x < 0.027f ? "remote" : "phone";
}

/* A handle along y for the tools, with a swelling profile. */
static float handle(Maker *k, float length, Pattern pattern, V3 base, V3 accent) {
  float r = between(k, 0.0095, 0.015);
  V3 at[6];
  float a[6], b[6], flat = between(k, 0.7, 1);
  for (int i = 0; i < 6; i++) {
    static const float swell[6] = {0.8f, 1.05f, 1.0f, 0.95f, 1.02f, 0.7f};
    at[i] = v3(0, length * (float)i / 5, 0), a[i] = r * swell[i], b[i] = a[i] * flat;
  }
  bar(k, part(k, pattern, 128, base, accent, 1, 2, 0.2f, 30), at, a, b, 6);
  solid(k, SOLID_LIMB, at[0], at[5], r * 0.95f, r * 0.95f);
  site(k, GRASP_WRAP, v3(0, length * between(k, 0.42, 0.6), 0), Y, ANY, r);
  return r;
}

static const V3 steel = {0.42f, 0.42f, 0.43f};

static void hammer(Maker *k) {
  float length = between(k, 0.2, 0.27);
  handle(k, length, chance(k, 0.6) ? PATTERN_WOOD : PATTERN_PLAIN,
         chance(k, 0.6) ? v3(0.5f, 0.32f, 0.16f) : vivid(k), v3(0.2f, 0.1f, 0.05f));
  k->t->site[0].at.y = length * between(k, 0.25, 0.42);
  V3 at[5] = {
      {-0.05f, length, 0}, {-0.03f, length, 0}, {0, length, 0}, {0.03f, length, 0}, {0.045f, length, 0}};
  float a[5] = {0.004f, 0.011f, 0.013f, 0.012f, 0.015f};
  Part *head = part(k, PATTERN_METAL, 64, scale(steel, between(k, 0.4, 1)), steel, 1, 1, 0.6f, 40);
  k->failed |= !mesh_tube(&head->mesh, k->arena, at, a, a, 5, Y, 14);
  k->t->radius = length / 2, k->t->name = "hammer";
}

static void driver(Maker *k) {
  float length = between(k, 0.09, 0.12), end = length + between(k, 0.07, 0.13);
  handle(k, length, PATTERN_STRIPES, vivid(k), any(k));
  V3 at[3] = {{0, length - 0.01f, 0}, {0, end - 0.01f, 0}, {0, end, 0}};
  float a[3] = {0.0034f, 0.0034f, 0.0045f}, b[3] = {0.0034f, 0.0034f, 0.001f};
  bar(k, part(k, PATTERN_METAL, 64, steel, steel, 1, 1, 0.7f, 50), at, a, b, 3);
  k->t->radius = end / 2, k->t->name = "screwdriver";
}

static void knife(Maker *k) {
  float length = between(k, 0.1, 0.12), blade = between(k, 0.11, 0.19), wide = between(k, 0.011, 0.022);
  handle(k, length, PATTERN_WOOD, chance(k, 0.5) ? v3(0.03f, 0.03f, 0.03f) : v3(0.3f, 0.16f, 0.07f),
         v3(0.02f, 0.02f, 0.02f));
  V3 at[5];
  float a[5], b[5];
  for (int i = 0; i < 5; i++) {
    float t = (float)i / 4;
    at[i] = v3(wide * 0.35f * (1 - t) * t, length - 0.005f + blade * t, 0);
    a[i] = wide * (i == 4 ? 0.12f : 1 - 0.35f * t * t), b[i] = 0.0014f;
  }
  bar(k, part(k, PATTERN_METAL, 64, scale(steel, 1.4f), steel, 1, 1, 0.9f, 60), at, a, b, 5);
  k->t->radius = (length + blade) / 2, k->t->name = "knife";
}

static void spoon(Maker *k) {
  float length = between(k, 0.13, 0.22), wide = between(k, 0.02, 0.034);
  int wooden = chance(k, 0.5);
  V3 base = wooden ? v3(0.5f, 0.32f, 0.16f) : chance(k, 0.5) ? steel : any(k);
  float r = handle(k, length, wooden ? PATTERN_WOOD : PATTERN_METAL, base, scale(base, 0.5f)) * 0.6f;
  for (int i = 0; i < k->t->part[0].mesh.vertices; i++) { /* slimmer than other handles */
    V3 *p = &k->t->part[0].mesh.p[i];
    p->x *= 0.6f, p->z *= 0.6f;
  }
  k->t->solid[0].ra = k->t->solid[0].rb = k->t->site[0].size = r;
  Part *bowl = again(k);
  k->failed |= !mesh_ellipsoid(&bowl->mesh, k->arena, v3(0, length + wide * 1.2f, 0),
                               v3(wide, wide * 1.4f, 0.007f), 20);
  k->t->radius = length / 2 + wide, k->t->name = wooden ? "wooden spoon" : "ladle";
}

static void brush(Maker *k) {
  float length = between(k, 0.11, 0.15);
  handle(k, length, PATTERN_PLAIN, vivid(k), any(k));
  V3 h = v3(between(k, 0.02, 0.035), between(k, 0.02, 0.04), between(k, 0.007, 0.016));
  box(k, part(k, PATTERN_STRIPES, 64, dull(k), dull(k), 4, 4, 0, 1), v3(0, length + h.y, 0), h, 0.003f);
  solid(k, SOLID_BOX, v3(0, length + h.y, 0), h, 0.003f, 0);
  k->t->radius = length / 2 + h.y, k->t->name = "brush";
}

static void pen(Maker *k) {
  float r = between(k, 0.0042, 0.009), length = between(k, 0.12, 0.16);
  V3 at[6] = {{0, 0, 0},     {0, 0.02f, 0}, {0, 0.021f, 0}, {0, length * 0.62f, 0}, {0, length * 0.63f, 0},
              {0, length, 0}};
  float a[6] = {r * 0.15f, r, r, r, r * 1.12f, r * 1.08f};
  bar(k, part(k, PATTERN_STRIPES, 64, any(k), any(k), 1, 0.25f, 0.4f, 50), at, a, a, 6);
  solid(k, SOLID_LIMB, at[0], at[5], r, r);
  site(k, GRASP_PINCH, v3(0, length * 0.35f, 0), X, Z, r);
  site(k, GRASP_WRAP, v3(0, length * 0.5f, 0), Y, ANY, r);
  k->t->radius = length / 2, k->t->name = r > 0.007f ? "marker" : "pen";
}

static void cloth(Maker *k) {
  float w = between(k, 0.14, 0.26), h = between(k, 0.14, 0.26), folds = between(k, 2, 4),
        phase = between(k, 0, 6);
  Pattern look[] = {PATTERN_CHECK, PATTERN_STRIPES, PATTERN_KNIT, PATTERN_DOTS, PATTERN_PLAIN};
  Part *p = part(k, look[random_below(k->r, 5)], 128, any(k), any(k), 1, 1, 0, 1);
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
  solid(k, SOLID_LIMB, v3(0, 0.02f, 0), v3(0, -0.03f, 0), 0.008f, 0.014f);
  site(k, GRASP_PINCH, v3(0, 0.0f, 0), Z, Y, 0.009f);
  k->t->soft = 1, k->t->upright = 1, k->t->radius = 0.1f, k->t->name = "cloth";
}

static void toy(Maker *k) {
  V3 base = any(k), accent = any(k);
  float r = between(k, 0.026, 0.036);
  Pattern look = chance(k, 0.5) ? PATTERN_KNIT : PATTERN_PLAIN;
  Part *body = part(k, look, 128, base, accent, 1, 1, 0, 1);
  V3 hips = v3(r, r * 1.25f, r * 0.9f);
  k->failed |= !mesh_ellipsoid(&body->mesh, k->arena, v3(0, hips.y, 0), hips, 22);
  solid(k, SOLID_ELLIPSOID, v3(0, hips.y, 0), hips, 0, 0);
  Part *head = again(k);
  float hr = r * between(k, 0.8, 1.05), top = 2 * hips.y + hr * 0.75f;
  k->failed |= !mesh_ellipsoid(&head->mesh, k->arena, v3(0, top, 0), v3(hr * 1.1f, hr, hr), 22);
  solid(k, SOLID_ELLIPSOID, v3(0, top, 0), v3(hr * 1.1f, hr, hr), 0, 0);
  for (int side = -1; side < 2; side += 2) { /* arms and ears in one bent bar each */
    Part *limbs = again(k);
    V3 at[4] = {{(float)side * r * 1.5f, hips.y * 0.9f, r * 0.6f},
                {(float)side * r * 0.8f, hips.y * 1.5f, 0},
                {(float)side * hr * 0.7f, top + hr * 0.4f, 0},
                {(float)side * hr * 1.05f, top + hr * 1.1f, 0}};
    float a[4] = {r * 0.3f, r * 0.34f, hr * 0.3f, hr * 0.3f};
    bar(k, limbs, at, a, a, 4);
  }
  Part *face = part(k, PATTERN_DOTS, 64, accent, v3(0.01f, 0.01f, 0.01f), 1, 1, 0.1f, 20);
  k->failed |= !mesh_ellipsoid(&face->mesh, k->arena, v3(0, top - hr * 0.2f, hr * 0.75f),
                               v3(hr * 0.45f, hr * 0.36f, hr * 0.4f), 16);
  site(k, GRASP_WRAP, v3(0, hips.y * 1.1f, 0), Y, ANY, r);
  k->t->upright = 1, k->t->radius = 1.5f * r, k->t->name = "toy";
}

static void plate(Maker *k) {
  float r = between(k, 0.08, 0.12), h = 0.009f;
  const float p[][2] = {{0, 0},
                        {r * 0.6f, 0},
                        {r * 0.62f, 0.001f},
                        {r, h},
                        {r, h},
                        {r, h + 0.003f},
                        {r * 0.98f, h + 0.003f},
                        {r * 0.62f, 0.005f},
                        {r * 0.6f, 0.004f},
                        {0, 0.004f}};
  Pattern look[] = {PATTERN_PLAIN, PATTERN_DOTS, PATTERN_STONE, PATTERN_STRIPES};
  revolve(k,
          part(k, look[random_below(k->r, 4)], 128, chance(k, 0.5) ? v3(0.75f, 0.74f, 0.7f) : any(k), any(k),
               1, 1, 0.4f, 50),
          p, 10);
  solid(k, SOLID_BOX, v3(0, 0.5f * h, 0), v3(r * 0.8f, 0.5f * h, r * 0.8f), 0.001f, 0);
  for (int i = 0; i < 3; i++) {
    float angle = (float)i * 2 * PI / 3;
    V3 out = v3(cosf(angle), 0, sinf(angle));
    site(k, GRASP_EDGE, v3(out.x * r, 0.5f * h, out.z * r), Y, out, 0.5f * h);
  }
  k->t->upright = 1, k->t->radius = r, k->t->name = "plate";
}

static void bowl(Maker *k) {
  float r = between(k, 0.06, 0.085), h = between(k, 0.045, 0.07), w = 0.004f;
  const float p[][2] = {{0, 0},
                        {r * 0.45f, 0},
                        {r * 0.45f, 0},
                        {r * 0.72f, h * 0.3f},
                        {r * 0.92f, h * 0.65f},
                        {r, h},
                        {r, h},
                        {r - w, h},
                        {r - w, h},
                        {r * 0.92f - w, h * 0.65f},
                        {r * 0.72f - w, h * 0.34f},
                        {r * 0.4f, 0.008f},
                        {0, 0.006f}};
  revolve(k, part(k, chance(k, 0.5) ? PATTERN_STRIPES : PATTERN_PLAIN, 128, any(k), any(k), 1, 1, 0.3f, 50),
          p, 13);
  solid_revolved(k, p + 2, 4);
  site(k, GRASP_PALM, v3(-r * 0.85f, h * 0.55f, 0), v3(-1, 0, 0), ANY, r * 0.85f);
  site(k, GRASP_PALM, v3(r * 0.85f, h * 0.55f, 0), X, ANY, r * 0.85f);
  k->t->upright = 1, k->t->radius = r, k->t->name = "bowl";
}

static void car(Maker *k) {
  V3 h = v3(between(k, 0.04, 0.06), between(k, 0.009, 0.013), between(k, 0.017, 0.025)), paint = vivid(k);
  float wheel = h.y * 0.95f;
  box(k, part(k, PATTERN_STRIPES, 64, paint, any(k), 1, 0.5f, 0.5f, 50), v3(0, wheel + h.y, 0), h, 0.005f);
  box(k, part(k, PATTERN_PLAIN, 64, chance(k, 0.5) ? paint : v3(0.05f, 0.06f, 0.08f), paint, 1, 1, 0.5f, 50),
      v3(-h.x * 0.12f, wheel + 2.7f * h.y, 0), v3(h.x * 0.52f, h.y * 0.9f, h.z * 0.85f), 0.006f);
  for (int i = 0; i < 4; i++) {
    const float p[][2] = {{0, 0},          {wheel, 0},      {wheel, 0},
                          {wheel, 0.009f}, {wheel, 0.009f}, {wheel * 0.5f, 0.009f},
                          {0, 0.008f}};
    Part *w = i ? again(k)
                : part(k, PATTERN_PLAIN, 64, v3(0.02f, 0.02f, 0.02f), v3(0.3f, 0.3f, 0.3f), 1, 1, 0.05f, 10);
    revolve(k, w, p, 7);
    Pose to = pose_turn(X, i % 2 ? PI / 2 : -PI / 2);
    to.o = v3(h.x * (i < 2 ? 0.62f : -0.62f), wheel, (i % 2 ? 1.0f : -1.0f) * (h.z - 0.004f));
    if (!k->failed) move(w, &to);
  }
  solid(k, SOLID_BOX, v3(0, wheel + h.y, 0), h, 0.004f, 0);
  solid(k, SOLID_BOX, v3(-h.x * 0.12f, wheel + 2.7f * h.y, 0), v3(h.x * 0.52f, h.y * 0.9f, h.z * 0.85f),
        0.005f, 0);
  site(k, GRASP_PINCH, v3(-h.x * 0.1f, wheel + 2.2f * h.y, 0), Z, Y, h.z);
  k->t->upright = 1, k->t->radius = h.x, k->t->name = "toy car";
}

static void bulb(Maker *k) {
  float r = between(k, 0.024, 0.034);
  const float p[][2] = {{0, 0},
                        {0.007f, 0.001f},
                        {0.012f, 0.006f},
                        {0.012f, 0.026f},
                        {0.012f, 0.026f},
                        {0.014f, 0.032f},
                        {r * 0.75f, 0.045f},
                        {r * 0.96f, 0.045f + r * 0.55f},
                        {r, 0.045f + r * 0.9f},
                        {r * 0.9f, 0.045f + r * 1.4f},
                        {r * 0.55f, 0.045f + r * 1.8f},
                        {0, 0.045f + r * 1.95f}};
  revolve(k,
          part(k, PATTERN_PLAIN, 64, chance(k, 0.7) ? v3(0.85f, 0.84f, 0.8f) : vivid(k), v3(0.5f, 0.5f, 0.5f),
               1, 1, 0.6f, 70),
          p, 12);
  solid_revolved(k, p + 1, 10);
  site(k, GRASP_PINCH, v3(0, 0.045f + r * 0.8f, 0), X, Z, r);
  site(k, GRASP_PINCH, v3(0, 0.045f + r * 0.8f, 0), X, Y, r);
  k->t->radius = r, k->t->name = "light bulb";
}

static void sponge(Maker *k) {
  V3 h = v3(between(k, 0.025, 0.036), between(k, 0.01, 0.02), between(k, 0.04, 0.06));
  block(k, h, 0.004f, PATTERN_TERRAZZO, vivid(k), dull(k), 0);
  site(k, GRASP_PINCH, v3(0, h.y * 1.2f, 0), X, Y, h.x);
  k->t->name = "sponge";
}

static void torch(Maker *k) {
  float r = between(k, 0.012, 0.019), h = between(k, 0.12, 0.18), head = r * between(k, 1.2, 1.7);
  const float p[][2] = {{0, 0},    {r, 0},    {r, 0},           {r, h * 0.7f},  {head, h * 0.8f},
                        {head, h}, {head, h}, {head * 0.8f, h}, {0, h - 0.006f}};
  revolve(k, part(k, chance(k, 0.5) ? PATTERN_METAL : PATTERN_STRIPES, 64, any(k), dull(k), 2, 2, 0.5f, 40),
          p, 9);
  solid_revolved(k, p + 1, 6);
  site(k, GRASP_WRAP, v3(0, h * 0.4f, 0), Y, ANY, r);
  k->t->radius = h / 2, k->t->name = chance(k, 0.5) ? "torch" : "spray can";
}

static void pan(Maker *k) {
  float r = between(k, 0.08, 0.11), h = between(k, 0.03, 0.05), w = 0.003f, length = between(k, 0.13, 0.17);
  const float p[][2] = {{0, 0},     {r * 0.85f, 0}, {r * 0.88f, 0.002f}, {r, h},     {r, h},
                        {r - w, h}, {r - w, h},     {r * 0.86f, 0.005f}, {0, 0.004f}};
  handle(k, length, PATTERN_PLAIN, v3(0.02f, 0.02f, 0.02f), v3(0.04f, 0.04f, 0.04f));
  Part *dish = part(k, PATTERN_METAL, 128, chance(k, 0.6) ? v3(0.03f, 0.03f, 0.03f) : scale(steel, 0.9f),
                    steel, 1, 1, 0.4f, 40);
  revolve(k, dish, p, 9);
  Pose to = pose_turn(X, PI / 2); /* the dish's axis along z, beyond the handle's end */
  to.o = v3(0, length + r - 0.006f, -h * 0.75f);
  if (!k->failed) move(dish, &to);
  k->t->radius = length / 2 + r, k->t->name = "pan";
}

int thing_make(Thing *t, Arena *arena, Random *r, ThingKind kind) {
  static void (*const make[THING_KINDS])(Maker *) = {
      bottle, cup, can,   ball, fruit, banana, big_box, book, phone,  hammer, driver, knife, spoon,
      brush,  pen, cloth, toy,  plate, bowl,   car,     bulb, sponge, torch,  pan,    carton};
  memset(t, 0, sizeof *t);
  t->base = pose_identity();
  Maker k = {t, arena, r, 0};
  make[kind](&k);
  return !k.failed;
}

Pose thing_rest(const Thing *t) {
  V3 low = {1e9f, 1e9f, 1e9f}, high = {-1e9f, -1e9f, -1e9f};
  int lies = !t->upright && t->solids && t->solid[0].kind == SOLID_LIMB;
  Pose p = lies ? pose_turn(X, -PI / 2) : pose_identity(); /* tools lie on their flat side */
  for (int i = 0; i < t->parts; i++)
    for (int k = 0; k < t->part[i].mesh.vertices; k++) {
      V3 q = pose_vector(&p, t->part[i].mesh.p[k]);
      low = v3(minf(low.x, q.x), minf(low.y, q.y), minf(low.z, q.z));
      high = v3(maxf(high.x, q.x), maxf(high.y, q.y), maxf(high.z, q.z));
    }
  p.o = v3(-0.5f * (low.x + high.x), -low.y, -0.5f * (low.z + high.z));
  return p;
}

static float revolved(const Solid *s, V3 p) {
  float r = hypotf(p.x, p.z), d = 1e9f, wide = -1e9f;
  const float(*q)[2] = s->profile;
  for (int i = 0; i + 1 < s->n; i++) {
    float ex = q[i + 1][0] - q[i][0], ey = q[i + 1][1] - q[i][1], length = ex * ex + ey * ey;
    float t = length > 0 ? clampf(((r - q[i][0]) * ex + (p.y - q[i][1]) * ey) / length, 0, 1) : 0;
    d = minf(d, hypotf(r - q[i][0] - t * ex, p.y - q[i][1] - t * ey));
    if (p.y >= q[i][1] && p.y <= q[i + 1][1] && ey > 0)
      wide = mixf(q[i][0], q[i + 1][0], (p.y - q[i][1]) / ey);
  }
  if (r < wide) return -minf(d, minf(p.y - q[0][1], q[s->n - 1][1] - p.y));
  float top = q[s->n - 1][1], bottom = q[0][1]; /* the flat ends */
  if (p.y > top && r < q[s->n - 1][0]) return p.y - top;
  if (p.y < bottom && r < q[0][0]) return bottom - p.y;
  return d;
}

float thing_distance(const Thing *t, V3 p) {
  float d = 1e9f;
  for (int i = 0; i < t->solids; i++) {
    const Solid *s = &t->solid[i];
    float one;
    if (s->kind == SOLID_REVOLVED)
      one = revolved(s, p);
    else if (s->kind == SOLID_LIMB) {
      V3 axis = sub(s->b, s->a), q = sub(p, s->a);
      float u = clampf(dot(q, axis) / dot(axis, axis), 0, 1);
      one = norm(along(q, axis, -u)) - mixf(s->ra, s->rb, u);
    } else if (s->kind == SOLID_BOX) {
      V3 q = sub(p, s->a);
      V3 e = v3(fabsf(q.x) - s->b.x + s->ra, fabsf(q.y) - s->b.y + s->ra, fabsf(q.z) - s->b.z + s->ra);
      one = norm(v3(maxf(e.x, 0), maxf(e.y, 0), maxf(e.z, 0))) + minf(0, maxf(e.x, maxf(e.y, e.z))) - s->ra;
    } else {
      V3 q = sub(p, s->a), u = v3(q.x / s->b.x, q.y / s->b.y, q.z / s->b.z);
      V3 g = v3(u.x / s->b.x, u.y / s->b.y, u.z / s->b.z);
      float k = norm(u), slope = norm(g);
      one = slope > 1e-6f ? k * (k - 1) / slope : -minf(s->b.x, s->b.y);
    }
    d = minf(d, one);
  }
  return d;
}
