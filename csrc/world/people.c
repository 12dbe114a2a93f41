/* People: where they stand, how their arms reach, what they wear, and which of many random grasps suits the
 * arm. Arms come from outside the picture; the upper arm stretches as far as that needs. */
#include "world/people.h"

#include <string.h>

static float ranged(Random *r, double a, double b) { return (float)random_range(r, a, b); }

int person_make(Person *p, Scene *s, Random *r, int number, float azimuth) {
  V3 out = v3(sinf(azimuth), 0, cosf(azimuth));
  p->number = number;
  p->facing = scale(out, -1);
  p->chest = add(v3(s->focus.x, 0, s->focus.z), scale(out, ranged(r, 0.48, 0.62)));
  p->chest.y = s->focus.y + ranged(r, 0.2, 0.34);
  static const Pattern wear[] = {PATTERN_PLAIN, PATTERN_PLAIN, PATTERN_STRIPES, PATTERN_CHECK,
                                 PATTERN_KNIT,  PATTERN_DOTS,  PATTERN_SHAPES};
  double dress = random_uniform(r);
  p->cuff = dress < 0.45  ? ranged(r, -0.005, 0.05)
            : dress < 0.6 ? ranged(r, 0.08, 0.2)
            : dress < 0.8 ? 0.36f
                          : 9;
  /* the surface in steps of about three pixels; no forearm where the sleeve hides it */
  float step = clampf(3.2f * s->span / (float)s->width, 0.0027f, 0.0042f),
        arm = clampf(p->cuff + 0.03f, 0, FOREARM_LENGTH);
  if (!hand_make(&s->hand[number], &s->arena, r, sqrtf(ranged(r, 0, 1)), arm, step)) return 0;
  p->loose = ranged(r, 0.003, 0.013), p->folds = random_u32(r);
  V3 base = colour_any(r, 0, 0.75, 0.08, 0.95),
     accent = random_below(r, 2) ? scale(base, 0.4f) : colour_any(r, 0, 0.8, 0.2, 0.95);
  if (random_uniform(r) < 0.12)
    base = colour_near(r, s->hand[number].skin, 0.05f); /* skin-coloured clothes */
  Pattern pattern = wear[random_below(r, 7)];
  return material_make(&p->cloth, &s->arena, r, pattern, 128, base, accent, 1, 1, 0, 1);
}

enum { AROUND = 22, RINGS = 46 };

/* A tube of rings around an arm, each (metres beyond the wrist, relative width). */
static int tube(Mesh *m, Arena *arena, const float (*ring)[2], int n) {
  if (!mesh_start(m, arena, n * (AROUND + 1), (n - 1) * AROUND * 2)) return 0;
  for (int i = 0; i < n; i++)
    for (int k = 0; k <= AROUND; k++) {
      float u = (float)k / AROUND;
      mesh_vertex(m, v3(2 * PI * u * TUBE_RADIUS, ring[i][0], ring[i][1]), u, ring[i][0] / 0.26f);
    }
  for (int i = 0; i + 1 < n; i++)
    for (int k = 0; k < AROUND; k++) {
      int q = i * (AROUND + 1) + k, w = q + AROUND + 1;
      mesh_triangle(m, q, w, w + 1);
      mesh_triangle(m, q, w + 1, q + 1);
    }
  return 1;
}

/* Rings from `from` to beyond the shoulder, dense where the arm bends; a cuff has an inside. */
static int long_tube(Mesh *m, Arena *arena, float from, int cuff) {
  static const float lip[3][2] = {{0.014f, 0.84f}, {0.001f, 0.9f}, {0, 1.0f}};
  float ring[RINGS][2];
  for (int i = 0; i < RINGS; i++) {
    ring[i][0] = from + (i < 28 ? 0.0155f * (float)i : 0.434f + 0.06f * (float)(i - 28)), ring[i][1] = 1;
    if (cuff && i < 3) ring[i][0] = from + lip[i][0], ring[i][1] = lip[i][1];
  }
  return tube(m, arena, (const float(*)[2])ring, RINGS);
}

/* A watch or bracelet. */
static int band(Scene *s, Random *r, Actor *a) {
  float at = ranged(r, 0.018, 0.035), wide = ranged(r, 0.006, 0.022), thick = ranged(r, 1.0, 1.09);
  const float ring[4][2] = {{at, 0.9f}, {at + 0.001f, thick}, {at + wide, thick}, {at + wide + 0.001f, 0.9f}};
  V3 colour = random_below(r, 2) ? colour_any(r, 0, 0.2, 0.05, 0.9) : colour_any(r, 0.3, 0.9, 0.2, 0.9);
  return tube(&a->band.mesh, &s->arena, ring, 4) &&
         material_make(&a->band.material, &s->arena, r, PATTERN_PLAIN, 64, colour, colour, 1, 1, 0.4f, 40);
}

static int bare_arm(Scene *s, Actor *a) {
  Mesh *m = &a->arm.mesh;
  if (!long_tube(m, &s->arena, FOREARM_LENGTH - 0.02f, 0)) return 0;
  m->paint = arena_take(&s->arena, (size_t)m->vertices * sizeof *m->paint);
  m->nail = arena_take(&s->arena, (size_t)m->vertices * sizeof *m->nail);
  if (!m->paint || !m->nail) return 0;
  for (int i = 0; i < m->vertices; i++) {
    m->paint[i] = a->hand->skin, m->nail[i] = -1;
    m->p[i].z = ramp(FOREARM_LENGTH - 0.07f, FOREARM_LENGTH + 0.05f, m->p[i].y); /* grows out of the elbow */
  }
  a->arm.material = (Material){.skin = 1};
  return 1;
}

Actor *person_arm(Scene *s, Random *r, const Person *p, int left) {
  Actor *a = &s->actor[s->actors++];
  V3 side = scale(cross(p->facing, v3(0, 1, 0)), left ? -1.0f : 1.0f);
  memset(a, 0, sizeof *a);
  a->hand = &s->hand[p->number], a->left = left, a->thing = -1;
  a->from = -1e6f, a->to = 1e6f;
  a->shoulder = along(p->chest, side, ranged(r, 0.14, 0.2));
  a->pole =
      unit(add(add(scale(side, ranged(r, 0.3, 1)), v3(0, ranged(r, -0.5, 0.1), 0)), scale(p->facing, -0.3f)));
  a->upper = ranged(r, 0.27, 0.31);
  a->fidget = random_u32(r), a->restless = ranged(r, 0.03, 0.2);
  a->cuff = p->cuff, a->folds = p->folds + (uint32_t)left, a->loose = p->loose;
  a->sleeve.material = p->cloth;
  a->sleeve.material.repeat_u = 1, a->sleeve.material.repeat_v = 1;
  if (p->cuff < 1 && !long_tube(&a->sleeve.mesh, &s->arena, p->cuff, 1)) return NULL;
  if (p->cuff > 0.2f && !bare_arm(s, a)) return NULL;
  if (p->cuff > 0.07f && random_below(r, 3) == 0 && !band(s, r, a)) return NULL;
  return a;
}

int person_torso(Scene *s, Actor *a, const Person *p) {
  Mesh *m = &a->torso.mesh;
  float x, y;
  int before = camera_project(&s->base, add(p->chest, v3(0, 0.03f, 0)), &x, &y);
  if (!before || dot(p->facing, s->base.pose.z) < 0.3f || y > -0.08f * (float)s->height) return 1;
  if (!mesh_ellipsoid(m, &s->arena, v3(0, 0, 0), v3(0.2f, 0.62f, 0.11f), 28)) return 0;
  Pose turn = {cross(v3(0, 1, 0), scale(p->facing, -1)), {0, 1, 0}, scale(p->facing, -1), {0, 0, 0}};
  turn.o = add(sub(p->chest, a->shoulder), add(v3(0, -0.56f, 0), scale(p->facing, -0.05f)));
  for (int i = 0; i < m->vertices; i++) {
    m->p[i] = pose_point(&turn, m->p[i]), m->n[i] = pose_vector(&turn, m->n[i]);
    m->uv[i][0] *= 4, m->uv[i][1] *= 3;
  }
  a->torso.material = p->cloth;
  if (p->facing.z > 0.5f) /* the table ends before the person */
    s->room.table_low.z = maxf(s->room.table_low.z, p->chest.z + 0.09f);
  return 1;
}

/* How unlikely a hand is for its arm: bent wrists, palms turned out, hands in the table, things hidden from
 * view. */
static float strain(const Scene *s, const Actor *a, const Pose *hand, V3 held) {
  V3 elbow = actor_elbow(a, hand->o), fore = unit(sub(hand->o, elbow));
  V3 lateral = scale(cross(fore, v3(0, 1, 0)), a->left ? -1.0f : 1.0f);
  float bend = acosf(clampf(dot(hand->y, fore), -1, 1)), cost = 0;
  cost += 4 * maxf(0, bend - 0.3f) * maxf(0, bend - 0.3f);
  cost += 3 * maxf(0, -dot(hand->z, lateral) - 0.15f) + 0.5f * maxf(0, -hand->z.y);
  V3 palm = pose_point(hand, v3(0, 0.07f, 0)), tips = pose_point(hand, v3(0, 0.1f, -0.03f));
  float low = minf(hand->o.y, minf(palm.y, tips.y));
  cost += 60 * maxf(0, 0.025f - low) + 30 * maxf(0, 0.03f - elbow.y);
  V3 eye = unit(sub(s->base.pose.o, held));
  cost += 0.9f * maxf(0, dot(unit(sub(palm, held)), eye) - 0.2f);
  return cost;
}

static Pose random_turn(Random *r) {
  V3 axis = unit(v3((float)random_normal(r), (float)random_normal(r), (float)random_normal(r)));
  return pose_turn(axis, ranged(r, 0, 2 * PI));
}

/* The thing's pose to try: upright things stay upright, all others may turn any way unless they rest. */
static Pose try_base(const Thing *t, Random *r, int resting) {
  Pose yaw = pose_turn(v3(0, 1, 0), ranged(r, 0, 2 * PI));
  if (resting) {
    Pose rest = thing_rest(t);
    return pose_mul(&yaw, &rest);
  }
  if (!t->upright) return random_turn(r);
  V3 shape_only = v3(0.2f * (float)random_normal(r), 0, 0.2f * (float)random_normal(r));
  if (t->soft) shape_only = scale(shape_only, 0.3f);
  Pose tilt = pose_about(v3(0, 0, 0), shape_only);
  return pose_mul(&tilt, &yaw);
}

void people_hold(Scene *s, Random *r, Actor *const *actor, int n, int thing, V3 target, int resting) {
  Thing *t = &s->thing[thing];
  float best = 1e9f;
  Pose base = t->base, grip[2] = {pose_identity(), pose_identity()};
  int chosen[2] = {0, 0};
  for (int c = 0; c < (n == 1 ? 90 : 50); c++) {
    Pose b = try_base(t, r, resting), g[2], hand;
    int site[2], first = n == 1 ? (int)random_below(r, t->sites) : (int)random_below(r, 2);
    V3 hold = n == 1 ? t->site[first].at : scale(add(t->site[0].at, t->site[1].at), 0.5f);
    if (resting)
      b.o.x += target.x, b.o.z += target.z;
    else
      b.o = sub(target, pose_vector(&b, hold));
    float cost = 0.25f * ranged(r, 0, 1);
    for (int k = 0; k < n; k++) {
      float least = 1e9f;
      site[k] = n == 1 ? first : (first + k) % 2;
      for (int i = 0; i < (n == 1 ? 3 : 8); i++) {
        Pose one = grasp_place(actor[k]->hand, actor[k]->left, &t->site[site[k]], ranged(r, 0, 2 * PI),
                               ranged(r, 0, 1));
        hand = pose_mul(&b, &one);
        float now = strain(s, actor[k], &hand, pose_point(&b, t->site[site[k]].at));
        if (now < least) least = now, g[k] = one;
      }
      cost += least;
    }
    if (cost >= best) continue;
    best = cost, base = b;
    for (int k = 0; k < n; k++) grip[k] = g[k], chosen[k] = site[k];
  }
  t->base = base;
  for (int k = 0; k < n; k++) {
    Actor *a = actor[k];
    a->thing = thing, a->grip = grip[k];
    grasp_close(a->hand, t, &t->site[chosen[k]], &a->grip, r, &a->closed, &a->open);
    Pose hand = pose_mul(&base, &a->grip);
    V3 back = add(scale(hand.y, -0.8f), add(scale(hand.z, 0.5f), v3(0, 0.5f, 0)));
    a->leave = scale(unit(back), ranged(r, 0.006, 0.02));
  }
}

void people_empty(Scene *s, Random *r, Actor *a, V3 target) {
  float best = 1e9f;
  for (int c = 0; c < 40; c++) {
    Pose p;
    V3 fore = unit(sub(target, actor_elbow(a, target)));
    p.y = unit(add(
        fore, scale(v3((float)random_normal(r), (float)random_normal(r), (float)random_normal(r)), 0.25f)));
    p.z = unit(
        across(v3((float)random_normal(r), (float)random_normal(r) + 0.4f, (float)random_normal(r)), p.y));
    p.x = scale(cross(p.y, p.z), a->left ? -1.0f : 1.0f);
    p.o = along(target, p.y, -0.09f);
    float cost = strain(s, a, &p, target) + 0.6f * ranged(r, 0, 1);
    if (cost < best) best = cost, a->base = p;
  }
  int kind = (int)random_below(r, HAND_GESTURES),
      other = random_below(r, 3) ? kind : (int)random_below(r, HAND_GESTURES);
  a->closed = hand_gesture(kind, r), a->open = hand_gesture(other, r);
}
