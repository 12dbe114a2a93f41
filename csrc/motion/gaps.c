/* See gaps.h. */
#include "motion/gaps.h"

#include <stdlib.h>

enum { MOST = 3 };             /* gaps of a hand on a side */
static const double LEAST = 4; /* pixels */

/* The i below n with ok(i) that comes first: of the smallest gap on this side (-1, 1), or on both (0) of the
 * largest motion; -1: none. Those that are taken are not asked. */
static int next_gap(int n, const long *gaps, int hands, const double *motion, const bool *taken, int side) {
  int best = -1;
  for (int i = 0; i < n; i++) {
    double far = motion[(long)i * hands];
    if (taken[i] || (side && ((gaps[i] < 0) != (side < 0) || !(far >= LEAST)))) continue;
    if (best < 0 || (side ? labs(gaps[i]) < labs(gaps[best]) : far > motion[(long)best * hands])) best = i;
  }
  return best;
}

void gaps_by_motion(int n, const long *gaps, int hands, const double *motion, bool *chosen) {
  for (int i = 0; i < n; i++) chosen[i] = false;
  bool taken[n > 0 ? n : 1]; /* for this hand */
  for (int k = 0; k < hands; k++) {
    for (int i = 0; i < n; i++) taken[i] = false;
    int count = 0;
    for (int side = -1; side <= 1; side += 2)
      for (int m = 0, i; m < MOST && (i = next_gap(n, gaps, hands, motion + k, taken, side)) >= 0;
           m++, count++)
        taken[i] = true;
    for (int m = 0, i; !count && m < MOST && (i = next_gap(n, gaps, hands, motion + k, taken, 0)) >= 0; m++)
      taken[i] = true;
    for (int i = 0; i < n; i++) chosen[i] = chosen[i] || taken[i];
  }
}
