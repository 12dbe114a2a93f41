/* Optical flow by dense inverse search (Kroeger, Timofte, Dai, Van Gool, "Fast Optical Flow using Dense
 * Inverse Search", ECCV 2016) with the variational refinement that DIS takes from Brox, Bruhn, Papenberg,
 * Weickert (ECCV 2004), and the forward-backward check. Grey values only; any size from 1x1 up; no colour, no
 * occlusion reasoning.
 *
 * Pixels: (x, y), x to the right, y down, pixel centres on integers. A flow is h x w x 2, (dx, dy): the point
 * (x, y) of the first image lies at (x + dx, y + dy) in the second. */
#ifndef MOTION_FLOW_H
#define MOTION_FLOW_H

#include "core/device.h"

#include <stdint.h>

/* The flows from a to each b[i] of n, all h x w x channels (1: grey, 3: RGB), into flow[i] (h x w x 2, pixels), all in
 * the device's memory; a GPU computes several at once. Bit-equal for any n and number of threads. 1; 0 with a message
 * for a bad size or channel count, when memory is short, or on Ctrl-C. */
int flow_dis(Device *device, const uint8_t *a, const uint8_t *const *b, int n, long h, long w, int channels,
             float *const *flow);

/* valid[y][x] = 1 where the backward flow undoes the forward flow, else 0 (Sundaram, Brox, Keutzer, ECCV
 * 2010): |f + g|^2 <= a (|f|^2 + |g|^2) + b with f = forward(x), g = backward(x + f), bilinear. A target
 * outside the image is invalid. Usual values: a = 0.01, b = 0.5 (pixels squared). 1; 0 with a message for a
 * bad size or on Ctrl-C. */
int flow_check(Device *device, const float *forward /* h x w x 2 */, const float *backward /* h x w x 2 */,
               long h, long w, float a, float b, uint8_t *valid /* h x w */);

#endif
