/* What is exactly known of a rendered frame: whose surface each pixel shows, where it goes, and the
 * landmarks. */
#ifndef WORLD_TRUTH_H
#define WORLD_TRUTH_H

#include "world/render.h"

/* Labels of pixels; a thing's pixels belong to it whether it is held or not. */
enum { LABEL_ROOM = 0, LABEL_HAND = 1, LABEL_ARM = 32, LABEL_TORSO = 64, LABEL_THING = 128 };

enum { NEIGHBOURS = 3 }; /* flow reaches so many frames back and forth */

/* A hand seen in a frame. */
typedef struct Seen {
  int actor;
  int thing; /* held now, or -1 */
  int hand_pixels, object_pixels;
  int query[2];
  float mark[LANDMARKS][2];
} Seen;

typedef struct Truth {
  Render *render;
  V3 *ring[2 * NEIGHBOURS + 1]; /* vertex positions of the frames around the present one */
  int ring_frame[2 * NEIGHBOURS + 1];
  unsigned char *label; /* H×W */
  float (*bary)[3];     /* H×W, of the triangle in render->seen; a room pixel's world position instead */
  Seen seen[ACTORS_MAX];
  int hands;
} Truth;

int truth_start(Truth *t, Render *r, Arena *arena);

/* Labels, surfaces and hands of a frame. Hands with too few pixels to be annotated are left out. */
void truth_frame(Truth *t, int frame);

/* Motion of each pixel's surface from the present frame to another within NEIGHBOURS: H×W×2, pixels. */
void truth_flow(Truth *t, int frame, int to, float *flow);

/* Projected landmarks of an actor's hand at a frame (behind the camera: far outside the picture). */
void truth_landmarks(const Scene *s, const Actor *a, float time, float mark[LANDMARKS][2]);

#endif
