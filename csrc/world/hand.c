/* One person's hand: proportions (adult means as in anthropometric tables, varied), the flesh as a blend of
 * tapered limbs, its surface, and its colours. Bones and poses are in hand_pose.c,
 * weights in hand_weights.c. */
#include "world/hand.h"
#include "world/hand_parts.h"
#include "world/noise.h"

#define MM 0.001f

/* Landmarks of an average right hand at rest in millimetres, and the radius of the flesh. */
static const float average[LANDMARKS][4] = {
    {0, 0, 0, 19},          {-20, 22, -7, 13},   {-43, 54, -12, 12.5f}, {-62, 83, -14, 10.5f},
    {-76, 107, -15, 8},     {-25, 91, 0, 11.5f}, {-32, 133, 0, 9.8f},   {-36, 159, 0, 8.4f},
    {-38.5f, 181, 0, 6.8f}, {-4, 95, 3, 12},     {-5, 142, 3, 10},      {-5.5f, 172, 3, 8.6f},
    {-6, 196, 3, 7},        {16, 89, 1, 11.3f},  {22, 132, 1, 9.4f},    {25.5f, 160, 1, 8.1f},
    {28, 183, 1, 6.6f},     {34, 78, -4, 10},    {45, 110, -4, 8.3f},   {52, 131, -4, 7.1f},
    {57.5f, 150, -4, 5.9f},
};

float limb(V3 p, V3 a, V3 b, float ra, float rb) {
  V3 d = sub(b, a), q = sub(p, a);
  float t = clampf(dot(q, d) / dot(d, d), 0, 1);
  return norm(along(q, d, -t)) - mixf(ra, rb, t);
}

/* The smooth minimum (polynomial, k: width of the blend). */
static float blend(float a, float b, float k) {
  float h = clampf(0.5f + 0.5f * (b - a) / k, 0, 1);
  return mixf(b, a, h) - k * h * (1 - h);
}

/* limb() with the z axis squashed: wrists and forearms are wider than thick. */
static float flat_limb(V3 p, float y0, float y1, float r0, float r1, float flat0, float flat1) {
  float t = clampf((p.y - y0) / (y1 - y0), 0, 1), flat = mixf(flat0, flat1, t);
  V3 q = v3(p.x, p.y, p.z / flat);
  return limb(q, v3(0, y0, 0), v3(0, y1, 0), r0, r1) * flat;
}

float hand_finger_distance(const Hand *h, int finger, V3 p) {
  float d = 1;
  for (int s = 0; s < 3; s++) {
    int j = 1 + 4 * finger + s;
    d = minf(d, limb(p, h->joint[j], h->joint[j + 1], h->radius[j], h->radius[j + 1]));
  }
  return d;
}

float hand_palm_distance(const Hand *h, V3 p) {
  float s = h->size * MM, d = 1;
  float wrist = -40 * s > p.y + 0.06f ? 1 : flat_limb(p, -40 * s, 10 * s, 28 * s, 27 * s, 0.72f, 0.66f);
  float arm = p.y > 0.06f ? 1 : flat_limb(p, -FOREARM_LENGTH, -40 * s, 46 * s, 28 * s, 0.92f, 0.72f);
  if (p.y < -0.08f) return blend(wrist, arm, 20 * s);
  static const float base[4][3] = {{-15, 12, 0}, {-5, 12, 2}, {6, 12, 1}, {16, 11, -2}};
  for (int f = 1; f < FINGERS; f++) {
    int j = 1 + 4 * f;
    V3 b = scale(v3(base[f - 1][0], base[f - 1][1], base[f - 1][2]), s);
    V3 front = v3(0, -4 * s, -2.5f * s); /* the flesh under the knuckle */
    float m = limb(p, b, add(h->joint[j], front), 14.5f * s, h->radius[j] * 1.1f);
    d = f == 1 ? m : blend(d, m, 11 * s);
  }
  V3 ball = mix3(h->joint[1], h->joint[2], 0.55f);
  float thenar = limb(p, scale(v3(-15, 20, -8), s), add(ball, scale(v3(6, 2, -5), s)), 15 * s, 12.5f * s);
  float hypothenar = limb(p, scale(v3(16, 18, -8), s), scale(v3(27, 58, -9), s), 13.5f * s, 11 * s);
  d = blend(d, thenar, 10 * s);
  d = blend(d, hypothenar, 10 * s);
  return blend(blend(wrist, arm, 20 * s), d, 14 * s);
}

static float flesh(const void *what, V3 p) {
  const Hand *h = what;
  float palm = hand_palm_distance(h, p), d = palm, k = 7 * h->size * MM;
  for (int f = 0; f < FINGERS; f++) {
    int j = 1 + 4 * f;
    float wide = f ? k : 2 * k,
          round = 0.012f + h->radius[j]; /* a limb around the whole finger, bends and all */
    if (limb(p, h->joint[j], h->joint[j + 3], round, round) > d + wide) continue;
    d = minf(d, blend(palm, hand_finger_distance(h, f, p), wide));
  }
  return d;
}

static void proportions(Hand *h, Random *r) {
  h->size = (float)random_range(r, 0.9, 1.08);
  float thick = (float)random_range(r, 0.9, 1.14), slim = (float)random_range(r, 0.93, 1.08);
  for (int i = 0; i < LANDMARKS; i++) {
    const float *m = average[i];
    h->joint[i] = scale(v3(m[0], m[1], m[2]), h->size * MM);
    h->radius[i] = m[3] * h->size * MM * (i ? thick : 1);
  }
  for (int f = 0; f < FINGERS; f++) { /* finger lengths vary, by up to 6 % */
    int j = 1 + 4 * f;
    float k = slim * (float)random_range(r, 0.97, 1.03);
    for (int s = 1; s < 4; s++) h->joint[j + s] = along(h->joint[j], sub(h->joint[j + s], h->joint[j]), k);
  }
  for (int i = 0; i < PHALANGES; i++) {
    int f = i / 3, j = 1 + 4 * f + i % 3;
    Pose *b = &h->rest[i];
    b->o = h->joint[j];
    b->y = unit(sub(h->joint[j + 1], h->joint[j]));
    b->z =
        unit(across(f ? v3(0, 0, 1) : v3(-0.78f, 0.1f, 0.62f), b->y)); /* the thumb's nail faces sideways */
    b->x = cross(b->y, b->z);
  }
}

/* Skin in linear light, from light to dark through three anchors. */
static V3 skin_colour(float tone, Random *r) {
  static const V3 anchor[4] = {
      {0.045f, 0.022f, 0.014f}, {0.22f, 0.105f, 0.058f}, {0.47f, 0.25f, 0.16f}, {0.71f, 0.45f, 0.34f}};
  float t = clampf(tone, 0, 0.999f) * 3;
  V3 c = mix3(anchor[(int)t], anchor[(int)t + 1], t - floorf(t));
  c.x *= (float)random_range(r, 0.93, 1.07), c.z *= (float)random_range(r, 0.88, 1.12);
  return c;
}

/* How deep in a crease a point at distance y along a phalanx from its joint is: 0 .. 1. */
static float crease(float y, float width) { return expf(-y * y / (width * width)); }

static void paint(Hand *h, V3 skin, float tone, Random *r) {
  Mesh *m = &h->mesh;
  float mm = h->size * MM;
  uint32_t seed = random_u32(r);
  V3 palm = mix3(skin, v3(0.62f, 0.36f, 0.27f),
                 0.12f + 0.3f * (1 - tone)); /* palms are lighter, the more so if dark */
  float lines = (float)random_range(r, 0.12, 0.3), blotch = (float)random_range(r, 0.06, 0.16);
  for (int i = 0; i < m->vertices; i++) {
    V3 p = m->p[i], n = m->n[i];
    float front = ramp(0.1f, 0.75f, -n.z) * ramp(-0.03f, 0.02f, p.y), red = 0, dark = 0, nail = -1;
    unsigned near = 0; /* fingers */
    for (int f = 0; f < FINGERS && p.y > 0; f++)
      near |= (unsigned)(hand_finger_distance(h, f, p) < 3 * mm) << f;
    for (int k = 0; k < PHALANGES; k++) {
      int f = k / 3, j = 1 + 4 * f + k % 3;
      if (!(near >> f & 1)) continue;
      V3 q = pose_local(&h->rest[k], p);
      float back = dot(n, h->rest[k].z), length = norm(sub(h->joint[j + 1], h->joint[j]));
      if (k % 3 || !f) {
        dark += lines * crease(q.y, 1.6f * mm) * ramp(0.0f, -0.6f, back);
        dark += 0.6f * lines * (crease(q.y - 2.4f * mm, 1.2f * mm) + crease(q.y + 2.4f * mm, 1.2f * mm)) *
                ramp(0.4f, 0.9f, back);
      }
      red += 0.5f * crease(q.y, 7 * mm) * ramp(0.3f, 0.9f, back);
      if (k % 3 < 2) continue;
      red += 0.8f * ramp(0.5f * length, length, q.y);
      front = maxf(front, ramp(0.1f, 0.6f, -back));
      float wide = q.x / (h->radius[j + 1] * 0.82f), far = (q.y - 0.74f * length) / (0.42f * length);
      if (back > 0.1f) nail = maxf(nail, 1 - wide * wide - far * far);
    }
    dark += lines *
            (crease(p.y - 62 * mm - 0.25f * p.x, 1.6f * mm) + crease(p.y - 76 * mm + 0.2f * p.x, 1.6f * mm)) *
            ramp(0.5f, 0.9f, -n.z) * ramp(40 * mm, 30 * mm, fabsf(p.x));
    float vein = noise3(seed + 1, v3(p.x * 90, p.y * 22, p.z * 50));
    dark += 0.1f * ramp(0.62f, 0.8f, vein) * ramp(0.3f, 0.8f, n.z);
    V3 c = mix3(skin, palm, front);
    float mottle = noise3(seed, scale(p, 130)) + 0.5f * noise3(seed + 2, scale(p, 300)) - 0.75f;
    c = scale(c, 1 + blotch * mottle);
    red = clampf(red, 0, 1) * 0.28f + 0.1f * mottle;
    c = times(c, v3(1 + 0.12f * red, 1 - 0.38f * red, 1 - 0.34f * red));
    m->paint[i] = scale(c, 1 - clampf(dark, 0, 0.55f));
    m->nail[i] = nail;
  }
}

int hand_make(Hand *h, Arena *arena, Random *r, float tone, float forearm, float step) {
  proportions(h, r);
  float s = h->size;
  V3 low = v3(-0.115f * s, -forearm - 0.05f, -0.05f), high = v3(0.085f * s, 0.225f * s, 0.05f);
  if (!mesh_surface(&h->mesh, arena, flesh, h, low, high, step)) return 0;
  size_t n = (size_t)h->mesh.vertices;
  h->mesh.paint = arena_take(arena, n * sizeof *h->mesh.paint);
  h->mesh.nail = arena_take(arena, n * sizeof *h->mesh.nail);
  h->bone = arena_take(arena, n * sizeof *h->bone);
  h->weight = arena_take(arena, n * sizeof *h->weight);
  if (!h->mesh.paint || !h->mesh.nail || !h->bone || !h->weight) return 0;
  hand_weights(h);
  h->skin = skin_colour(tone, r);
  paint(h, h->skin, tone, r);
  return 1;
}
