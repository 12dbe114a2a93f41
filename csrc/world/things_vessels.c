/* Lathed things: bottles, cups, cans, plates, bowls, bulbs, torches. */
#include "world/maker.h"

void thing_bottle(Maker *k) {
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
  make_revolve(k,
               make_part(k, chance(k, 0.75) ? PATTERN_LABEL : PATTERN_PLAIN, 256, any_colour(k), vivid(k), 1,
                         1, between(k, 0.1, 0.6), 60),
               p, 10);
  float c = neck * between(k, 1.05, 1.35);
  const float cap[][2] = {{0, top - 0.002f},
                          {c, top - 0.002f},
                          {c, top - 0.002f},
                          {c, h - 0.002f},
                          {c * 0.9f, h},
                          {c * 0.9f, h},
                          {0, h}};
  make_revolve(k, make_part(k, PATTERN_PLAIN, 64, any_colour(k), any_colour(k), 1, 1, 0.25f, 40), cap, 7);
  make_solid_revolved(k, p + 1, 9);
  make_site(k, GRASP_WRAP, v3(0, body * between(k, 0.45, 0.8), 0), AXIS_Y, ANY_SIDE, r);
  make_site(k, GRASP_PINCH, v3(0, top, 0), AXIS_X, AXIS_Y, c);
  k->t->upright = 1, k->t->radius = r, k->t->name = "bottle";
}

void thing_cup(Maker *k) {
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
  make_revolve(k,
               make_part(k, look[random_below(k->r, 5)], 128, any_colour(k), any_colour(k), 1, 1,
                         between(k, 0.1, 0.5), 50),
               p, 11);
  if (chance(k, 0.6)) {
    V3 at[9];
    float a[9];
    for (int i = 0; i < 9; i++) {
      float angle = PI * ((float)i / 8 - 0.5f);
      at[i] = v3(mixf(base, top, 0.5f) - 0.004f + 0.028f * cosf(angle), h * 0.5f + h * 0.3f * sinf(angle), 0);
      a[i] = 0.0052f;
    }
    Part *handle = make_again(k);
    k->failed |= !mesh_tube(&handle->mesh, k->arena, at, a, a, 9, AXIS_Z, 10);
  }
  make_solid_revolved(k, p + 1, 4);
  make_site(k, GRASP_WRAP, v3(0, h * 0.5f, 0), AXIS_Y, ANY_SIDE, mixf(base, top, 0.5f));
  make_site(k, GRASP_PINCH, v3(0, h * 0.8f, 0), AXIS_Z, AXIS_Y, top);
  k->t->upright = 1, k->t->radius = top + 0.015f, k->t->name = "cup";
}

void thing_can(Maker *k) {
  float r = between(k, 0.026, 0.042), h = between(k, 0.07, 0.14), e = 0.003f;
  const float p[][2] = {{0, 0.002f}, {r - e, 0}, {r - e, 0}, {r, e},     {r, e},
                        {r, h - e},  {r, h - e}, {r - e, h}, {r - e, h}, {0, h - 0.002f}};
  make_revolve(k, make_part(k, PATTERN_LABEL, 256, any_colour(k), vivid(k), 1, 1, between(k, 0.15, 0.5), 40),
               p, 10);
  make_solid_revolved(k, p + 1, 8);
  make_site(k, GRASP_WRAP, v3(0, h * 0.55f, 0), AXIS_Y, ANY_SIDE, r);
  make_site(k, GRASP_PINCH, v3(0, h * 0.75f, 0), AXIS_X, AXIS_Y, r);
  k->t->upright = 1, k->t->radius = r, k->t->name = "can";
}

void thing_plate(Maker *k) {
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
  make_revolve(k,
               make_part(k, look[random_below(k->r, 4)], 128,
                         chance(k, 0.5) ? v3(0.75f, 0.74f, 0.7f) : any_colour(k), any_colour(k), 1, 1, 0.4f,
                         50),
               p, 10);
  make_solid(k, SOLID_BOX, v3(0, 0.5f * h, 0), v3(r * 0.8f, 0.5f * h, r * 0.8f), 0.001f, 0);
  for (int i = 0; i < 3; i++) {
    float angle = (float)i * 2 * PI / 3;
    V3 out = v3(cosf(angle), 0, sinf(angle));
    make_site(k, GRASP_EDGE, v3(out.x * r, 0.5f * h, out.z * r), AXIS_Y, out, 0.5f * h);
  }
  k->t->upright = 1, k->t->radius = r, k->t->name = "plate";
}

void thing_bowl(Maker *k) {
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
  make_revolve(k,
               make_part(k, chance(k, 0.5) ? PATTERN_STRIPES : PATTERN_PLAIN, 128, any_colour(k),
                         any_colour(k), 1, 1, 0.3f, 50),
               p, 13);
  make_solid_revolved(k, p + 2, 4);
  make_site(k, GRASP_PALM, v3(-r * 0.85f, h * 0.55f, 0), v3(-1, 0, 0), ANY_SIDE, r * 0.85f);
  make_site(k, GRASP_PALM, v3(r * 0.85f, h * 0.55f, 0), AXIS_X, ANY_SIDE, r * 0.85f);
  k->t->upright = 1, k->t->radius = r, k->t->name = "bowl";
}

void thing_bulb(Maker *k) {
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
  make_revolve(k,
               make_part(k, PATTERN_PLAIN, 64, chance(k, 0.7) ? v3(0.85f, 0.84f, 0.8f) : vivid(k),
                         v3(0.5f, 0.5f, 0.5f), 1, 1, 0.6f, 70),
               p, 12);
  make_solid_revolved(k, p + 1, 10);
  make_site(k, GRASP_PINCH, v3(0, 0.045f + r * 0.8f, 0), AXIS_X, AXIS_Z, r);
  make_site(k, GRASP_PINCH, v3(0, 0.045f + r * 0.8f, 0), AXIS_X, AXIS_Y, r);
  k->t->radius = r, k->t->name = "light bulb";
}

void thing_torch(Maker *k) {
  float r = between(k, 0.012, 0.019), h = between(k, 0.12, 0.18), head = r * between(k, 1.2, 1.7);
  const float p[][2] = {{0, 0},    {r, 0},    {r, 0},           {r, h * 0.7f},  {head, h * 0.8f},
                        {head, h}, {head, h}, {head * 0.8f, h}, {0, h - 0.006f}};
  make_revolve(k,
               make_part(k, chance(k, 0.5) ? PATTERN_METAL : PATTERN_STRIPES, 64, any_colour(k), dull(k), 2,
                         2, 0.5f, 40),
               p, 9);
  make_solid_revolved(k, p + 1, 6);
  make_site(k, GRASP_WRAP, v3(0, h * 0.4f, 0), AXIS_Y, ANY_SIDE, r);
  k->t->radius = h / 2, k->t->name = chance(k, 0.5) ? "torch" : "spray can";
}
