/* What the files of the hand share among themselves. */
#ifndef WORLD_HAND_PARTS_H
#define WORLD_HAND_PARTS_H

#include "world/hand.h"

/* Distance to a limb from a to b whose radius goes from ra to rb (not exactly Euclidean where it tapers). */
float limb(V3 p, V3 a, V3 b, float ra, float rb);

/* Distances to the flesh of one finger, and of the palm with the forearm, at rest. */
float hand_finger_distance(const Hand *h, int finger, V3 p);
float hand_palm_distance(const Hand *h, V3 p);

/* Fills bone and weight of every vertex. */
void hand_weights(Hand *h);

#endif
