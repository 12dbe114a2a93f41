/* Small vectors and poses for the generated world: metres, y up, right-handed. A pose is three columns and an
 * origin; a left hand is the right hand's model under a pose whose determinant is -1, so nothing else
 * mirrors. Deliberately float: images are a few hundred pixels wide, so that float is exact to about 1e-4 of
 * a pixel. */
#ifndef WORLD_VEC_H
#define WORLD_VEC_H

#include <math.h>

#define PI 3.14159265358979f
#define DEGREE (PI / 180)

typedef struct V3 {
  float x, y, z;
} V3;

typedef struct Pose {
  V3 x, y, z; /* columns */
  V3 o;       /* origin */
} Pose;

static inline V3 v3(float x, float y, float z) { return (V3){x, y, z}; }
static inline V3 add(V3 a, V3 b) { return (V3){a.x + b.x, a.y + b.y, a.z + b.z}; }
static inline V3 sub(V3 a, V3 b) { return (V3){a.x - b.x, a.y - b.y, a.z - b.z}; }
static inline V3 scale(V3 a, float s) { return (V3){a.x * s, a.y * s, a.z * s}; }
static inline V3 times(V3 a, V3 b) { return (V3){a.x * b.x, a.y * b.y, a.z * b.z}; }
static inline V3 along(V3 a, V3 d, float s) { return (V3){a.x + d.x * s, a.y + d.y * s, a.z + d.z * s}; }
static inline V3 mix3(V3 a, V3 b, float t) { return along(a, sub(b, a), t); }
static inline float dot(V3 a, V3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
static inline V3 cross(V3 a, V3 b) {
  return (V3){a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}
static inline float norm(V3 a) { return sqrtf(dot(a, a)); }
static inline V3 unit(V3 a) {
  float n = norm(a);
  return n > 1e-12f ? scale(a, 1 / n) : v3(0, 1, 0);
}
/* The part of a at right angles to the unit vector d. */
static inline V3 across(V3 a, V3 d) { return along(a, d, -dot(a, d)); }

/* The C library's fminf and floorf are calls on plain x86-64, since they mind NaN and old processors. */
static inline float minf(float a, float b) { return a < b ? a : b; }
static inline float maxf(float a, float b) { return a > b ? a : b; }
static inline int floor_int(float x) {
  int i = (int)x;
  return i - (x < (float)i);
}
static inline float clampf(float x, float lo, float hi) { return x < lo ? lo : x > hi ? hi : x; }
static inline float mixf(float a, float b, float t) { return a + (b - a) * t; }
/* 0 below a, 1 above b, smooth between (a > b falls). */
static inline float ramp(float a, float b, float x) {
  float t = clampf((x - a) / (b - a), 0, 1);
  return t * t * (3 - 2 * t);
}

static inline Pose pose_identity(void) { return (Pose){{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {0, 0, 0}}; }
static inline V3 pose_vector(const Pose *p, V3 a) {
  return along(along(scale(p->x, a.x), p->y, a.y), p->z, a.z);
}
static inline V3 pose_point(const Pose *p, V3 a) { return add(p->o, pose_vector(p, a)); }
/* Into the pose's own coordinates; assumes orthonormal columns. */
static inline V3 pose_local(const Pose *p, V3 world) {
  V3 d = sub(world, p->o);
  return v3(dot(p->x, d), dot(p->y, d), dot(p->z, d));
}
static inline Pose pose_mul(const Pose *a, const Pose *b) {
  return (Pose){pose_vector(a, b->x), pose_vector(a, b->y), pose_vector(a, b->z), pose_point(a, b->o)};
}
static inline Pose pose_inverse(const Pose *p) {
  Pose q = {{p->x.x, p->y.x, p->z.x}, {p->x.y, p->y.y, p->z.y}, {p->x.z, p->y.z, p->z.z}, {0, 0, 0}};
  q.o = scale(pose_vector(&q, p->o), -1);
  return q;
}
/* Turns by `angle` about the unit axis through the origin (Rodrigues). */
static inline Pose pose_turn(V3 axis, float angle) {
  float c = cosf(angle), s = sinf(angle), k = 1 - c;
  V3 a = axis;
  return (Pose){{c + a.x * a.x * k, a.x * a.y * k + a.z * s, a.x * a.z * k - a.y * s},
                {a.x * a.y * k - a.z * s, c + a.y * a.y * k, a.y * a.z * k + a.x * s},
                {a.x * a.z * k + a.y * s, a.y * a.z * k - a.x * s, c + a.z * a.z * k},
                {0, 0, 0}};
}
/* Turns by the rotation vector r about the point `centre`. */
static inline Pose pose_about(V3 centre, V3 r) {
  float angle = norm(r);
  Pose p = angle > 1e-9f ? pose_turn(scale(r, 1 / angle), angle) : pose_identity();
  p.o = sub(centre, pose_vector(&p, centre));
  return p;
}

#endif
