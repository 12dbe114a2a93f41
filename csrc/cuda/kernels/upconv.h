/* The 3 x 3 convolution of a map that was up-sampled by repeating pixels, as the transposed 4 x 4 convolution with stride
 * 2 that it is: taps which meet the same pixel of the map are one, their weights' sum (16 products for four outputs
 * instead of 36). */
#ifndef CUDA_KERNELS_UPCONV_H
#define CUDA_KERNELS_UPCONV_H

#include "cuda/kernels/kernels.h"

/* weights: o, 3, 3, channels, of which the first c are the map's, float32 or halves; sums: c, 4, 4, o, of dtype `to`, and
 * so the others, skip: o, 3, 3, rest. */
LAUNCHER int upconv_sum_taps_on(CudaStream s, long o, long c, long channels, const void *weights, Dtype dtype,
                                Dtype to, void *sums, void *skip);
/* The gradient of the weights from that of the sums and, for the channels behind the map's, from skip: o, 3, 3, rest;
 * both float32 or halves. */
LAUNCHER int upconv_share_taps_on(CudaStream s, long o, long c, long channels, const void *sums,
                                  Dtype sums_dtype, const void *skip, Dtype skip_dtype, float *weights,
                                  bool add);

#endif
