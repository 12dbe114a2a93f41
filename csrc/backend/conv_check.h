/* A self-test of the convolutions, for the test suite: the fast kernels against the plain path. */
#ifndef BACKEND_CONV_CHECK_H
#define BACKEND_CONV_CHECK_H

#include <stddef.h>
#include <stdint.h>

typedef struct ConvCheck {
  char shape[160]; /* what was tried */
  double forward, data,
      weight;    /* the largest difference, as a part of the largest result of the plain path */
  uint64_t hash; /* of all fast results: equal for every number of threads */
} ConvCheck;

/* Draws a shape (and epilogue) from `seed`, of every kind that there is a method for, and compares all three
 * directions. 1, or 0 with a message when memory is short or work was interrupted. */
int conv_check(uint64_t seed, ConvCheck *result);

#endif
