/* Poses: joint angles to frames, landmarks and skin (linear blending with half-bent joints), and free
 * gestures. */
#include "world/hand_parts.h"

/* The frame of joint `s` of a finger on its parent, bent by part of its angle. */
static Pose bent(const Hand *h, const HandPose *pose, int f, int s, const Pose *parent, float part) {
  const float *angle = pose->angle[f];
  const Pose *rest = &h->rest[3 * f + s];
  Pose bend = pose_turn(v3(1, 0, 0), -angle[1 + s] * part);
  if (s) {
    Pose back = pose_inverse(&h->rest[3 * f + s - 1]);
    Pose step = pose_mul(&back, rest), on = pose_mul(parent, &step);
    return pose_mul(&on, &bend);
  }
  Pose on = *rest;
  if (f) {
    Pose spread = pose_turn(v3(0, 0, 1), -angle[0] * part);
    on = pose_mul(rest, &spread);
  } else { /* the thumb swings about the hand's length towards the palm's front */
    Pose swing = pose_about(rest->o, v3(0, -angle[0] * part, 0));
    on = pose_mul(&swing, rest);
  }
  return pose_mul(&on, &bend);
}

void hand_frames(const Hand *h, const HandPose *pose, Pose frame[PHALANGES]) {
  for (int f = 0; f < FINGERS; f++)
    for (int s = 0; s < 3; s++) {
      int k = 3 * f + s;
      frame[k] = bent(h, pose, f, s, s ? &frame[k - 1] : NULL, 1);
    }
}

void hand_landmarks(const Hand *h, const Pose frame[PHALANGES], V3 out[LANDMARKS]) {
  out[0] = v3(0, 0, 0);
  for (int f = 0; f < FINGERS; f++) {
    for (int s = 0; s < 3; s++) out[1 + 4 * f + s] = frame[3 * f + s].o;
    int tip = 4 + 4 * f;
    float length = norm(sub(h->joint[tip], h->joint[tip - 1]));
    out[tip] = along(frame[3 * f + 2].o, frame[3 * f + 2].y, length);
  }
}

void hand_skin(const Hand *h, const HandPose *pose, const Pose *place, V3 elbow, V3 *out, V3 *normal) {
  Pose frame[PHALANGES], bone[HAND_BONES];
  hand_frames(h, pose, frame);
  V3 down = v3(0, -1, 0), arm = unit(elbow), axis = cross(down, arm);
  float sine = norm(axis), angle = atan2f(sine, dot(down, arm));
  V3 turn = sine > 1e-6f ? scale(axis, angle / sine) : v3(0, 0, 0);
  bone[BONE_FOREARM] = pose_about(v3(0, 0, 0), turn);
  bone[BONE_WRIST] = pose_about(v3(0, 0, 0), scale(turn, 0.5f));
  bone[BONE_PALM] = pose_identity();
  for (int k = 0; k < PHALANGES; k++) {
    Pose back = pose_inverse(&h->rest[k]);
    Pose half = bent(h, pose, k / 3, k % 3, k % 3 ? &frame[k - 1] : NULL, 0.5f);
    bone[BONE_FIRST + k] = pose_mul(&frame[k], &back);
    bone[BONE_HALF + k] = pose_mul(&half, &back);
  }
  for (int b = 0; b < HAND_BONES; b++) bone[b] = pose_mul(place, &bone[b]);
  const Mesh *m = &h->mesh;
  for (int i = 0; i < m->vertices; i++) {
    V3 p = {0, 0, 0}, n = {0, 0, 0};
    for (int k = 0; k < INFLUENCES; k++) {
      float w = h->weight[i][k];
      if (w <= 0) break;
      const Pose *b = &bone[h->bone[i][k]];
      p = along(p, pose_point(b, m->p[i]), w);
      n = along(n, pose_vector(b, m->n[i]), w);
    }
    out[i] = p, normal[i] = unit(n);
  }
}

HandPose hand_pose_mix(const HandPose *a, const HandPose *b, float t) {
  HandPose m;
  for (int f = 0; f < FINGERS; f++)
    for (int k = 0; k < 4; k++) m.angle[f][k] = mixf(a->angle[f][k], b->angle[f][k], t);
  return m;
}

HandPose hand_gesture(int kind, Random *r) {
  /* thumb: swing, bends; fingers: bends of the three joints, in degrees */
  static const float thumb[HAND_GESTURES][4] = {{20, 8, 15, 20},  {5, -5, 0, 5},    {55, 25, 30, 40},
                                                {50, 20, 30, 45}, {35, 12, 20, 25}, {50, 5, 20, 30}};
  static const float bend[HAND_GESTURES][3] = {{22, 30, 18}, {4, 6, 4},    {78, 92, 55},
                                               {75, 88, 50}, {38, 48, 30}, {55, 40, 25}};
  HandPose p;
  for (int k = 0; k < 4; k++) p.angle[0][k] = DEGREE * (thumb[kind][k] + 6 * (float)random_normal(r));
  float more = (float)random_range(r, -3, 8);
  for (int f = 1; f < FINGERS; f++) {
    int straight = kind == 3 && (f == 1 || (f == 2 && more > 4));
    p.angle[f][0] = DEGREE * ((float)(f - 2) * (float)random_range(r, -4, 2) + 2 * (float)random_normal(r));
    for (int s = 0; s < 3; s++)
      p.angle[f][1 + s] =
          DEGREE * (straight ? 6 + 3 * (float)random_normal(r)
                             : bend[kind][s] + more * (float)(f - 1) + 5 * (float)random_normal(r));
  }
  return p;
}
