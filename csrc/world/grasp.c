/* Grasps: a hand is set against a site, then each finger closes until its phalanges touch the thing's solids,
 * the outer joints going on when the inner ones are stopped (as in GraspIt!, Miller and Allen 2004). */
#include "world/thing.h"

/* Angles from open to closed in degrees: thumb swing and bends, then the fingers' three bends. */
typedef struct Recipe {
  float thumb_open[4], thumb_closed[4], open[3], closed[3], fan;
} Recipe;

static const Recipe recipe[] = {
    [GRASP_WRAP] = {{52, -12, 0, 2}, {70, 42, 45, 55}, {2, 8, 4}, {88, 108, 68}, 2.5f},
    [GRASP_PINCH] = {{58, -16, -4, 4}, {66, 34, 40, 38}, {12, 22, 8}, {88, 70, 44}, 1.5f},
    [GRASP_EDGE] = {{88, -14, 0, 4}, {10, 6, 10, 30}, {-6, 6, 3}, {50, 50, 28}, 2.5f},
    [GRASP_PALM] = {{14, -8, 0, 2}, {40, 20, 25, 25}, {-4, 4, 2}, {45, 42, 24}, 4},
};

static HandPose template_pose(const Recipe *r, float closed[FINGERS][4]) {
  HandPose p;
  for (int k = 0; k < 4; k++)
    p.angle[0][k] = DEGREE * mixf(r->thumb_open[k], r->thumb_closed[k], closed[0][k]);
  for (int f = 1; f < FINGERS; f++) {
    p.angle[f][0] = DEGREE * r->fan * (float)(f - 2) * -1.0f;
    for (int k = 0; k < 3; k++) p.angle[f][1 + k] = DEGREE * mixf(r->open[k], r->closed[k], closed[f][1 + k]);
  }
  return p;
}

Pose grasp_place(const Hand *h, int left, const Site *site, float turn, float tilt) {
  float s = h->size, hand = left ? -1.0f : 1.0f;
  Pose p;
  V3 at, any = unit(across(fabsf(site->axis.y) > 0.8f ? v3(1, 0, 0) : v3(0, 1, 0), site->axis));
  Pose spin = pose_turn(site->axis, turn);
  if (site->kind == GRASP_WRAP) {
    V3 out = dot(site->reach, site->reach) > 0 ? site->reach : pose_vector(&spin, any);
    p.x = scale(site->axis, -1), p.z = out, p.y = scale(cross(p.z, p.x), hand);
    float slim = ramp(0.03f, 0.012f, site->size); /* slim handles lie at the roots of the fingers */
    at = scale(v3(0.004f, 0.076f + 0.014f * slim, -0.0155f), s);
    at.z -= site->size * 0.97f;
  } else if (site->kind == GRASP_PINCH) {
    V3 reach = dot(site->reach, site->reach) > 0 ? site->reach : pose_vector(&spin, any);
    V3 width = unit(across(site->axis, reach));
    if (sinf(turn) < 0) width = scale(width, -1);
    float a = mixf(8, 60, tilt) * DEGREE;
    p.y = sub(scale(width, cosf(a)), scale(reach, sinf(a)));
    p.z = add(scale(width, sinf(a)), scale(reach, cosf(a)));
    p.x = scale(cross(p.y, p.z), hand);
    float big = maxf(0, site->size - 0.02f);
    at = scale(v3(-0.014f, mixf(0.103f, 0.13f, tilt), mixf(-0.07f, -0.05f, tilt)), s);
    at.y += 0.25f * big, at.z -= 0.3f * big;
  } else if (site->kind == GRASP_EDGE) {
    p.z = scale(site->axis, -1), p.y = scale(unit(across(site->reach, p.z)), -1);
    Pose yaw = pose_turn(p.z, 0.7f * sinf(turn));
    p.y = pose_vector(&yaw, p.y), p.x = scale(cross(p.y, p.z), hand);
    at = scale(v3(-0.012f, mixf(0.096f, 0.12f, tilt), -0.0105f), s);
    at.z -= site->size;
  } else {
    V3 up = unit(across(v3(0, 1, 0), site->axis)), forward = cross(up, site->axis);
    float a = mixf(-0.5f, 0.9f, tilt);
    /* thumb up: the back of the hand looks out along the axis */
    p.z = site->axis, p.y = unit(add(scale(forward, cosf(a)), scale(up, sinf(a))));
    if (sinf(turn) < 0) p.y = sub(scale(up, 2 * dot(up, p.y)), p.y); /* from the other side */
    p.x = scale(cross(p.y, p.z), hand);
    at = scale(v3(0, 0.09f, -0.0145f), s);
  }
  p.o = v3(0, 0, 0);
  p.o = sub(site->at, pose_vector(&p, at));
  return p;
}

/* How deep the phalanx of a finger reaches into the thing (negative: distance). */
static float depth(const Hand *h, const Thing *t, const Pose *place, const V3 *mark, int f, int s) {
  int j = 1 + 4 * f + s;
  float deep = -1;
  for (int i = f ? (s ? 0 : 2) : (s ? 1 : 3); i <= 4; i++) {
    float u = (float)i / 4;
    V3 p = pose_point(place, mix3(mark[j], mark[j + 1], u));
    deep = maxf(deep, mixf(h->radius[j], h->radius[j + 1], u) * 0.9f - thing_distance(t, p));
  }
  return deep;
}

static void close_finger(const Hand *h, const Thing *t, const Recipe *how, const Pose *place, int f,
                         float closed[FINGERS][4]) {
  enum { STEPS = 30 };
  int frozen = 0; /* joints below this have stopped */
  for (int step = 0; step < STEPS && frozen < 3; step++) {
    Pose frame[PHALANGES];
    V3 mark[LANDMARKS];
    for (int s = frozen; s < 3; s++) closed[f][1 + s] += 1.0f / STEPS;
    if (!f && !frozen) closed[0][0] = closed[0][1];
    HandPose pose = template_pose(how, closed);
    hand_frames(h, &pose, frame);
    hand_landmarks(h, frame, mark);
    for (int s = 2; s >= frozen; s--)
      if (depth(h, t, place, mark, f, s) > 0) {
        for (int k = frozen; k <= s; k++) closed[f][1 + k] -= 1.0f / STEPS;
        frozen = s + 1;
        break;
      }
  }
}

void grasp_close(const Hand *h, const Thing *t, const Site *site, Pose *place, Random *r, HandPose *closed,
                 HandPose *open) {
  Recipe how = recipe[site->kind];
  for (int k = 0; k < 3; k++) {
    how.open[k] += 4 * (float)random_normal(r);
    how.closed[k] += 3 * (float)random_normal(r);
  }
  how.thumb_open[0] += 5 * (float)random_normal(r);
  float part[FINGERS][4] = {{0}};
  HandPose first = template_pose(&how, part);
  Pose frame[PHALANGES];
  V3 mark[LANDMARKS], out = pose_vector(place, v3(0, 0, 1));
  if (site->kind == GRASP_PINCH && dot(site->reach, site->reach) > 0) out = site->reach;
  hand_frames(h, &first, frame);
  hand_landmarks(h, frame, mark);
  if (site->kind != GRASP_EDGE)
    for (int i = 0; i < 14; i++) { /* out of the thing */
      float deep = 0;
      for (int f = 0; f < FINGERS; f++)
        for (int s = 0; s < 3; s++) deep = maxf(deep, depth(h, t, place, mark, f, s));
      if (deep < 0.002f) break;
      place->o = along(place->o, out, 0.003f);
    }
  for (int f = 0; f < FINGERS; f++) close_finger(h, t, &how, place, f, part);
  *closed = template_pose(&how, part);
  for (int f = 0; f < FINGERS; f++)
    for (int k = 0; k < 4; k++) part[f][k] = maxf(0, part[f][k] * 0.35f - 0.1f);
  *open = template_pose(&how, part);
}
