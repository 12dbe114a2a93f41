/* How a scene moves: paths, the camera, hands that hold, reach and leave, arms by two-bone inverse
 * kinematics, and the positions of all vertices at any moment. No random numbers here: time in,
 * geometry out. */
#include "world/scene.h"
#include "world/noise.h"

static float wave(const Path *p, int k, int axis, float time) {
  float phase = p->phase[k][axis];
  return sinf(p->speed[k] * (time - p->middle) + phase) - sinf(phase);
}

/* The path's motion at a time, applied after `base` (turning about its origin). */
static Pose path_pose(const Path *p, const Pose *base, float time) {
  V3 offset = {0, 0, 0}, turn = {0, 0, 0};
  for (int k = 0; k < 2; k++) {
    offset =
        add(offset, times(p->sway[k], v3(wave(p, k, 0, time), wave(p, k, 1, time), wave(p, k, 2, time))));
    turn = add(turn, times(p->turn[k], v3(wave(p, k, 3, time), wave(p, k, 4, time), wave(p, k, 5, time))));
  }
  if (p->lift_from != p->lift_to) {
    float still = 1 - ramp(p->lift_from, p->lift_to, time); /* nothing sways on the table */
    offset = scale(add(offset, p->lift), still), turn = scale(turn, still);
  }
  Pose about = pose_about(base->o, turn), out = pose_mul(&about, base);
  out.o = add(out.o, offset);
  return out;
}

Pose thing_pose(const Thing *t, float time) {
  return path_pose(&t->path, &t->base, clampf(time, t->move_from, t->move_to));
}

int actor_holds(const Actor *a, float time) { return a->thing >= 0 && time >= a->from && time < a->to; }

Pose actor_hand(const Scene *s, const Actor *a, float time, HandPose *pose) {
  Pose place;
  float open = 0;
  if (a->thing < 0) {
    place = path_pose(&a->path, &a->base, time);
    open = 0.5f - 0.5f * cosf(0.35f * (time - a->path.middle));
  } else {
    const Thing *t = &s->thing[a->thing];
    Pose held = thing_pose(t, clampf(time, a->from, a->to));
    place = pose_mul(&held, &a->grip);
    float away =
        maxf(0, maxf(a->from - time, time - a->to)); /* frames before the grasp or after the release */
    open = ramp(0, 2.5f, away);
    float far = maxf(0, away - 0.8f);
    place.o = along(place.o, a->leave, far * far / (far + 3));
  }
  *pose = hand_pose_mix(&a->closed, &a->open, open);
  float restless = a->restless * (actor_holds(a, time) ? 0.35f : 1);
  for (int f = 0; f < FINGERS; f++)
    for (int k = 1; k < 4; k++)
      pose->angle[f][k] += restless * wander(a->fidget + (uint32_t)(8 * f + k), time * 0.22f);
  return place;
}

Camera scene_camera(const Scene *s, float time) {
  Camera c = s->base;
  float t = time - 0.5f * (float)(s->frames - 1), shake[3];
  for (uint32_t k = 0; k < 3; k++)
    shake[k] =
        s->jitter * (wander(s->shake + k, 0.31f * time) + 0.4f * wander(s->shake + 7 + k, 1.1f * time));
  V3 turn = v3(s->pan[1] * t + shake[1], s->pan[0] * t + shake[0], s->pan[2] * t + 0.5f * shake[2]);
  Pose about = pose_about(v3(0, 0, 0), turn);
  V3 o = c.pose.o;
  c.pose.o = v3(0, 0, 0);
  c.pose = pose_mul(&c.pose, &about);
  c.pose.o = along(o, s->dolly, t);
  c.focal *= expf(s->zoom * t);
  return c;
}

float light_level(const Scene *s, float time) {
  const Light *l = &s->light;
  float t = s->frames > 1 ? time / (float)(s->frames - 1) - 0.5f : 0;
  return expf(l->drift * t + l->flicker * wander(l->seed, time * 0.9f));
}

/* The elbow between shoulder and wrist; the upper arm stretches when the wrist is too far. */
V3 actor_elbow(const Actor *a, V3 wrist) {
  V3 d = sub(a->shoulder, wrist);
  float far = norm(d), fore = FOREARM_LENGTH + 0.02f, upper = maxf(a->upper, far - fore + 0.02f);
  V3 axis = scale(d, 1 / maxf(far, 1e-6f));
  float x = (far * far + fore * fore - upper * upper) / (2 * maxf(far, 1e-6f));
  x = clampf(x, -0.98f * fore, 0.995f * fore);
  V3 out = unit(across(a->pole, axis));
  return along(along(wrist, axis, x), out, sqrtf(fore * fore - x * x));
}

/* Rings along wrist, elbow, shoulder: arc length `at` to centre and direction, the elbow rounded off. */
static V3 arm_at(V3 wrist, V3 elbow, V3 shoulder, float at, V3 *direction) {
  float fore = norm(sub(elbow, wrist)), round = 0.05f;
  V3 d0 = unit(sub(elbow, wrist)), d1 = unit(sub(shoulder, elbow));
  float t = clampf((at - fore + round) / (2 * round), 0, 1);
  *direction = unit(mix3(d0, d1, t));
  if (at < fore - round) return along(wrist, d0, at);
  if (at > fore + round) return along(elbow, d1, at - fore);
  V3 start = along(elbow, d0, -round), end = along(elbow, d1, round);
  return mix3(mix3(start, elbow, t), mix3(elbow, end, t), t);
}

static float arm_radius(float at) {
  float t = clampf(at / FOREARM_LENGTH, 0, 1), top = clampf((at - FOREARM_LENGTH) / 0.3f, 0, 1);
  return mixf(0.027f, 0.046f, ramp(0, 1, t)) + 0.012f * top;
}

/* A tube's vertices hold (around, along, width) in their rest positions: see people.c. */
static void pose_tube(const Actor *a, const Mesh *m, int sleeve, V3 wrist, V3 elbow, V3 side, V3 *p, V3 *n) {
  for (int i = 0; i < m->vertices; i++) {
    float around = m->p[i].x / TUBE_RADIUS, at = m->p[i].y, wide = m->p[i].z;
    V3 d, c = arm_at(wrist, elbow, a->shoulder, at, &d);
    V3 x = unit(across(side, d)), z = cross(x, d);
    float cosine = cosf(around), sine = sinf(around);
    float r = arm_radius(at) + 0.003f;
    if (sleeve) {
      float off = (at - FOREARM_LENGTH) / 0.09f, bend = expf(-off * off);
      float fold = noise3(a->folds, v3(cosine * 1.2f, sine * 1.2f, at * (22 + 25 * bend)));
      r += a->loose * (0.75f + (0.5f + 0.6f * bend) * fold);
    }
    float flat = mixf(0.74f, 0.95f, ramp(0, 0.2f, at)); /* wrists are flat */
    r *= wide;
    p[i] = along(along(c, x, r * cosine), z, flat * r * sine);
    n[i] = v3(0, 0, 0);
  }
  for (int i = 0; i < m->triangles; i++) {
    const int *t = m->t[i];
    V3 face = cross(sub(p[t[1]], p[t[0]]), sub(p[t[2]], p[t[0]]));
    for (int k = 0; k < 3; k++) n[t[k]] = add(n[t[k]], face);
  }
  for (int i = 0; i + 1 < m->vertices; i++) /* the seam: rings end where the angle falls back */
    if (m->uv[i][0] == 0) {
      int e = i;
      while (e + 1 < m->vertices && m->uv[e][0] < 1) e++;
      n[i] = n[e] = add(n[i], n[e]);
    }
  for (int i = 0; i < m->vertices; i++) n[i] = unit(n[i]);
}

static void pose_thing(const Thing *t, const Mesh *m, float time, V3 *p, V3 *n) {
  Pose at = thing_pose(t, time);
  for (int i = 0; i < m->vertices; i++) p[i] = pose_point(&at, m->p[i]), n[i] = pose_vector(&at, m->n[i]);
  if (!t->soft) return;
  for (int i = 0; i < m->vertices; i++) { /* cloth hangs and lags behind */
    float low = maxf(0, -m->p[i].y);
    float lag = 1.2f * low;
    Pose then = thing_pose(t, time - 8 * lag);
    V3 late = sub(pose_point(&then, m->p[i]), p[i]);
    p[i] = add(p[i], scale(late, 0.8f));
    p[i].x += 0.1f * low * wander(3 + (uint32_t)t->parts, time * 0.25f + 2 * low);
  }
}

void scene_pose(const Scene *s, float time, V3 *p, V3 *n) {
  for (int i = 0; i < s->bodies; i++) {
    const Body *b = &s->body[i];
    V3 *bp = p + b->first_vertex, *bn = n + b->first_vertex;
    if (b->kind == BODY_THING) {
      pose_thing(&s->thing[b->owner], b->mesh, time, bp, bn);
      continue;
    }
    const Actor *a = &s->actor[b->owner];
    if (b->kind == BODY_TORSO) {
      for (int k = 0; k < b->mesh->vertices; k++)
        bp[k] = add(a->shoulder, b->mesh->p[k]), bn[k] = b->mesh->n[k];
      continue;
    }
    HandPose pose;
    Pose place = actor_hand(s, a, time, &pose);
    V3 elbow = actor_elbow(a, place.o);
    if (b->kind == BODY_HAND)
      hand_skin(a->hand, &pose, &place, pose_local(&place, elbow), bp, bn);
    else
      pose_tube(a, b->mesh, b->kind == BODY_SLEEVE, place.o, elbow, place.x, bp, bn);
  }
}
