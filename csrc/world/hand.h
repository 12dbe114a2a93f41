/* A human hand with its forearm: the skeleton of motion/skeleton.h, skin, and poses. Local coordinates of a
 * right hand:
 *
 *        y  towards the middle finger's tip        origin: the wrist
 *   -x   |  the thumb's side                       forearm: y < 0
 *     `--+-- x,  z: out of the back of the hand
 */
#ifndef WORLD_HAND_H
#define WORLD_HAND_H

#include "core/random.h"
#include "motion/skeleton.h"
#include "world/mesh.h"

enum { PHALANGES = 15, HAND_BONES = 33, INFLUENCES = 4 };
/* Bones: forearm, half-bent wrist, palm, 15 phalanges, 15 half-bent joints (they keep bent fingers from
 * thinning). */
enum { BONE_FOREARM, BONE_WRIST, BONE_PALM, BONE_FIRST, BONE_HALF = BONE_FIRST + PHALANGES };

#define FOREARM_LENGTH 0.25f

typedef struct Hand {
  V3 joint[LANDMARKS];     /* at rest: flat, fingers a little apart */
  float radius[LANDMARKS]; /* of the flesh around each */
  float size;              /* 1: an average adult's */
  Pose rest[PHALANGES];    /* y along the phalanx, z out of its back */
  V3 skin;                 /* its colour, linear light */
  Mesh mesh;               /* with paint and nails */
  unsigned char (*bone)[INFLUENCES];
  float (*weight)[INFLUENCES];
} Hand;

/* Angles in radians per finger (thumb first): spread to the little finger's side (thumb: towards the palm's
 * front), then the bends of its three joints. */
typedef struct HandPose {
  float angle[FINGERS][4];
} HandPose;

/* A random person's hand with so much of the forearm (metres, up to FOREARM_LENGTH), its surface in steps of
 * `step` metres. tone: 0 (dark) .. 1 (light) skin. 0 with a message when memory is short. */
int hand_make(Hand *h, Arena *arena, Random *r, float tone, float forearm, float step);

/* Joint frames of a pose, in hand coordinates: y along each phalanx. */
void hand_frames(const Hand *h, const HandPose *pose, Pose frame[PHALANGES]);
void hand_landmarks(const Hand *h, const Pose frame[PHALANGES], V3 out[LANDMARKS]);

/* The skin under a pose: world = place(hand coordinates); `elbow` in hand coordinates gives the forearm's
 * direction. out, normal: mesh.vertices each. */
void hand_skin(const Hand *h, const HandPose *pose, const Pose *place, V3 elbow, V3 *out, V3 *normal);

HandPose hand_pose_mix(const HandPose *a, const HandPose *b, float t);
/* Relaxed, flat, fist, pointing …: `kind` 0 .. HAND_GESTURES-1, varied. */
enum { HAND_GESTURES = 6 };
HandPose hand_gesture(int kind, Random *r);

#endif
