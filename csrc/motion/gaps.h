/* Which gaps between frames are used for the hands of a frame, by how far these move in them. */
#ifndef MOTION_GAPS_H
#define MOTION_GAPS_H

#include <stdbool.h>

/* chosen[i] says whether gaps[i] (of n, any order, none 0) is one: for some hand. Of a hand, on each side, up to three of
 * the smallest in which it moves at least 4 pixels; where none is left, the three in which it moves most. */
void gaps_by_motion(int n, const long *gaps, int hands, const double *motion /* n×hands, pixels */,
                    bool *chosen);

#endif
