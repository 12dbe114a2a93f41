/* Tools: a handle along y to wrap a hand around, and what is at its end. */
#include "world/maker.h"

static const V3 steel = {0.42f, 0.42f, 0.43f};

/* A handle along y for the tools, with a swelling profile. */
static float handle(Maker *k, float length, Pattern pattern, V3 base, V3 accent) {
  float r = between(k, 0.0095, 0.015);
  V3 at[6];
  float a[6], b[6], flat = between(k, 0.7, 1);
  for (int i = 0; i < 6; i++) {
    static const float swell[6] = {0.8f, 1.05f, 1.0f, 0.95f, 1.02f, 0.7f};
    at[i] = v3(0, length * (float)i / 5, 0), a[i] = r * swell[i], b[i] = a[i] * flat;
  }
  make_bar(k, make_part(k, pattern, 128, base, accent, 1, 2, 0.2f, 30), at, a, b, 6);
  make_solid(k, SOLID_LIMB, at[0], at[5], r * 0.95f, r * 0.95f);
  make_site(k, GRASP_WRAP, v3(0, length * between(k, 0.42, 0.6), 0), AXIS_Y, ANY_SIDE, r);
  return r;
}

void thing_hammer(Maker *k) {
  float length = between(k, 0.2, 0.27);
  handle(k, length, chance(k, 0.6) ? PATTERN_WOOD : PATTERN_PLAIN,
         chance(k, 0.6) ? v3(0.5f, 0.32f, 0.16f) : vivid(k), v3(0.2f, 0.1f, 0.05f));
  k->t->site[0].at.y = length * between(k, 0.25, 0.42);
  V3 at[5] = {
      {-0.05f, length, 0}, {-0.03f, length, 0}, {0, length, 0}, {0.03f, length, 0}, {0.045f, length, 0}};
  float a[5] = {0.004f, 0.011f, 0.013f, 0.012f, 0.015f};
  Part *head = make_part(k, PATTERN_METAL, 64, scale(steel, between(k, 0.4, 1)), steel, 1, 1, 0.6f, 40);
  k->failed |= !mesh_tube(&head->mesh, k->arena, at, a, a, 5, AXIS_Y, 14);
  k->t->radius = length / 2, k->t->name = "hammer";
}

void thing_driver(Maker *k) {
  float length = between(k, 0.09, 0.12), end = length + between(k, 0.07, 0.13);
  handle(k, length, PATTERN_STRIPES, vivid(k), any_colour(k));
  V3 at[3] = {{0, length - 0.01f, 0}, {0, end - 0.01f, 0}, {0, end, 0}};
  float a[3] = {0.0034f, 0.0034f, 0.0045f}, b[3] = {0.0034f, 0.0034f, 0.001f};
  make_bar(k, make_part(k, PATTERN_METAL, 64, steel, steel, 1, 1, 0.7f, 50), at, a, b, 3);
  k->t->radius = end / 2, k->t->name = "screwdriver";
}

void thing_knife(Maker *k) {
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
  make_bar(k, make_part(k, PATTERN_METAL, 64, scale(steel, 1.4f), steel, 1, 1, 0.9f, 60), at, a, b, 5);
  k->t->radius = (length + blade) / 2, k->t->name = "knife";
}

void thing_spoon(Maker *k) {
  float length = between(k, 0.13, 0.22), wide = between(k, 0.02, 0.034);
  int wooden = chance(k, 0.5);
  V3 base = wooden ? v3(0.5f, 0.32f, 0.16f) : chance(k, 0.5) ? steel : any_colour(k);
  float r = handle(k, length, wooden ? PATTERN_WOOD : PATTERN_METAL, base, scale(base, 0.5f)) * 0.6f;
  for (int i = 0; i < k->t->part[0].mesh.vertices; i++) { /* slimmer than other handles */
    V3 *p = &k->t->part[0].mesh.p[i];
    p->x *= 0.6f, p->z *= 0.6f;
  }
  k->t->solid[0].ra = k->t->solid[0].rb = k->t->site[0].size = r;
  Part *bowl = make_again(k);
  k->failed |= !mesh_ellipsoid(&bowl->mesh, k->arena, v3(0, length + wide * 1.2f, 0),
                               v3(wide, wide * 1.4f, 0.007f), 20);
  k->t->radius = length / 2 + wide, k->t->name = wooden ? "wooden spoon" : "ladle";
}

void thing_brush(Maker *k) {
  float length = between(k, 0.11, 0.15);
  handle(k, length, PATTERN_PLAIN, vivid(k), any_colour(k));
  V3 h = v3(between(k, 0.02, 0.035), between(k, 0.02, 0.04), between(k, 0.007, 0.016));
  make_box(k, make_part(k, PATTERN_STRIPES, 64, dull(k), dull(k), 4, 4, 0, 1), v3(0, length + h.y, 0), h,
           0.003f);
  make_solid(k, SOLID_BOX, v3(0, length + h.y, 0), h, 0.003f, 0);
  k->t->radius = length / 2 + h.y, k->t->name = "brush";
}

void thing_pen(Maker *k) {
  float r = between(k, 0.0042, 0.009), length = between(k, 0.12, 0.16);
  V3 at[6] = {{0, 0, 0},     {0, 0.02f, 0}, {0, 0.021f, 0}, {0, length * 0.62f, 0}, {0, length * 0.63f, 0},
              {0, length, 0}};
  float a[6] = {r * 0.15f, r, r, r, r * 1.12f, r * 1.08f};
  make_bar(k, make_part(k, PATTERN_STRIPES, 64, any_colour(k), any_colour(k), 1, 0.25f, 0.4f, 50), at, a, a,
           6);
  make_solid(k, SOLID_LIMB, at[0], at[5], r, r);
  make_site(k, GRASP_PINCH, v3(0, length * 0.35f, 0), AXIS_X, AXIS_Z, r);
  make_site(k, GRASP_WRAP, v3(0, length * 0.5f, 0), AXIS_Y, ANY_SIDE, r);
  k->t->radius = length / 2, k->t->name = r > 0.007f ? "marker" : "pen";
}

void thing_pan(Maker *k) {
  float r = between(k, 0.08, 0.11), h = between(k, 0.03, 0.05), w = 0.003f, length = between(k, 0.13, 0.17);
  const float p[][2] = {{0, 0},     {r * 0.85f, 0}, {r * 0.88f, 0.002f}, {r, h},     {r, h},
                        {r - w, h}, {r - w, h},     {r * 0.86f, 0.005f}, {0, 0.004f}};
  handle(k, length, PATTERN_PLAIN, v3(0.02f, 0.02f, 0.02f), v3(0.04f, 0.04f, 0.04f));
  Part *dish = make_part(k, PATTERN_METAL, 128, chance(k, 0.6) ? v3(0.03f, 0.03f, 0.03f) : scale(steel, 0.9f),
                         steel, 1, 1, 0.4f, 40);
  make_revolve(k, dish, p, 9);
  Pose to = pose_turn(AXIS_X, PI / 2); /* the dish's axis along z, beyond the handle's end */
  to.o = v3(0, length + r - 0.006f, -h * 0.75f);
  if (!k->failed) make_move(dish, &to);
  k->t->radius = length / 2 + r, k->t->name = "pan";
}
