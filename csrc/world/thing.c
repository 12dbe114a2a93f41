/* The catalogue's door: a thing of a kind, how it rests, and the distance to its solids. */
#include "world/maker.h"

#include <string.h>

int thing_make(Thing *t, Arena *arena, Random *r, ThingKind kind) {
  static void (*const make[THING_KINDS])(Maker *) = {
      thing_bottle, thing_cup,   thing_can,    thing_ball,   thing_fruit, thing_banana, thing_big_box,
      thing_book,   thing_phone, thing_hammer, thing_driver, thing_knife, thing_spoon,  thing_brush,
      thing_pen,    thing_cloth, thing_toy,    thing_plate,  thing_bowl,  thing_car,    thing_bulb,
      thing_sponge, thing_torch, thing_pan,    thing_carton};
  memset(t, 0, sizeof *t);
  t->base = pose_identity();
  Maker k = {t, arena, r, 0};
  make[kind](&k);
  return !k.failed;
}

Pose thing_rest(const Thing *t) {
  V3 low = {1e9f, 1e9f, 1e9f}, high = {-1e9f, -1e9f, -1e9f};
  int lies = !t->upright && t->solids && t->solid[0].kind == SOLID_LIMB;
  Pose p = lies ? pose_turn(AXIS_X, -PI / 2) : pose_identity(); /* tools lie on their flat side */
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
