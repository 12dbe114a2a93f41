/* The hand of 21 landmarks: which bones and which palm they span, in MediaPipe's order. The one place that
 * knows.
 *
 *   0 wrist   1 .. 4 thumb   5 .. 8 index   9 .. 12 middle   13 .. 16 ring   17 .. 20 little finger,
 *   each from the root (of the fingers: the knuckle) to the tip
 */
#ifndef MOTION_SKELETON_H
#define MOTION_SKELETON_H

enum { LANDMARKS = 21, FINGERS = 5, SKELETON_BONES = 22, SKELETON_PALM = 6, KNUCKLES = 4 };

/* Two landmarks and the radius of the flesh around them in palm lengths; 0: a web of skin, which the palm's
 * outline bounds. */
typedef struct Bone {
  int a, b;
  float radius;
} Bone;
extern const Bone skeleton_bone[SKELETON_BONES];

/* The palm is the filled polygon of the wrist, the thumb's root and the knuckles. */
extern const int skeleton_palm[SKELETON_PALM];

/* The landmark of the i-th knuckle, from the index finger's on. */
static inline int skeleton_knuckle(int i) { return 5 + 4 * i; }

#endif
