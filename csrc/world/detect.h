/* Landmarks as files: the exact ones, and what a hand detector would have made of them. */
#ifndef WORLD_DETECT_H
#define WORLD_DETECT_H

#include "io/json.h"
#include "world/truth.h"

/* A detector's moods over a clip: slow errors per hand and landmark, hands it never finds, a ghost. */
typedef struct Detector {
  Random random;
  float drift[ACTORS_MAX][LANDMARKS][2], shift[ACTORS_MAX][2]; /* in hand sizes */
  float gross[ACTORS_MAX][2];                                  /* scale and turn of a rare bad fit */
  float miss[ACTORS_MAX];                                      /* chance per frame */
  int flipped[ACTORS_MAX];
  int ghost_from, ghost_to;
  float ghost[LANDMARKS][2];
} Detector;

void detector_start(Detector *d, const Scene *s, uint64_t seed, uint64_t index);

/* Appends a frame's list of hands: exact, or as detected. 0 with a message. */
int exact_hands(const Truth *t, JsonWriter *out);
int detected_hands(Detector *d, const Truth *t, int frame, JsonWriter *out);

#endif
