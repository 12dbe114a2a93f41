/* Levels of maps: where a hand's responsibility is half, by what a cut along the image's edges says is the hand's.
 * The fall of a map from the hand to the ground depends on how far the hand moves and on the flow's halo, so that
 * one threshold cuts some maps too wide and others too narrow. */
#ifndef MOTION_LEVEL_H
#define MOTION_LEVEL_H

/* Of every hand the odds against the background are scaled so that what is above a half agrees best with what the cut
 * gives the hand (intersection over union); a hand that the cut leaves nothing keeps its odds. agreement: how well,
 * per hand, 0 to 1: whether the image's edges tell the same as the flow. pixels × (hands + 1) each, summing to 1. */
void level_maps(long pixels, int hands, const float *map, const float *cut, float *out, double *agreement);

#endif
