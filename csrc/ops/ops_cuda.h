/* The CUDA half of the ops: launchers for the rows of pointwise.def and for the bodies that csrc/ops shares
 * with it. Pointers are device memory, sizes in elements, everything on the given stream, nothing waits. All
 * return 1, or 0 with CUDA's message. Opened at run time only where a device is; nothing on the CPU side
 * needs it. */
#ifndef OPS_OPS_CUDA_H
#define OPS_OPS_CUDA_H

#include <stdbool.h>
#include <stdint.h>

typedef struct CUstream_st *CudaStream;

/* Two operands as strides over the output's shape; a stride of 0 repeats. */
enum { CUDA_RANK = 8 };
typedef struct CudaBroadcast {
  int rank;
  long shape[CUDA_RANK], a[CUDA_RANK], b[CUDA_RANK];
} CudaBroadcast;

typedef struct CudaUnary {
  const char *name;
  int (*forward)(CudaStream, long n, const float *x, float *y, float p, float q);
  int (*backward)(CudaStream, long n, const float *x, const float *y, const float *dy, float *dx, bool add,
                  float p, float q);
} CudaUnary;

typedef struct CudaBinary {
  const char *name;
  int (*forward)(CudaStream, long n, const CudaBroadcast *, const float *a, const float *b, float *y);
  int (*backward[2])(CudaStream, long n, const CudaBroadcast *, const float *a, const float *b,
                     const float *y, const float *dy, float *g,
                     bool add); /* of the output's shape: summed afterwards */
} CudaBinary;

typedef struct CudaCompare {
  const char *name;
  int (*forward)(CudaStream, long n, const CudaBroadcast *, const float *a, const float *b, uint8_t *y);
} CudaCompare;

typedef struct CudaWindow { /* of max pooling, images N,H,W,C */
  long h, w, c, ho, wo, kernel, stride, padding;
} CudaWindow;

typedef struct CudaOps {
  const CudaUnary *unary;
  const CudaBinary *binary;
  const CudaCompare *compare;
  int unaries, binaries, compares;
  int (*max_pool_forward)(CudaStream, long images, const CudaWindow *, const float *x, float *y,
                          uint8_t *place);
  int (*max_pool_backward)(CudaStream, long images, const CudaWindow *, const float *dy, const uint8_t *place,
                           float *dx, bool add);
  int (*global_pool_backward)(CudaStream, long images, long pixels, long c, const float *dy, float *dx,
                              bool add);
  /* x: rows of all images below one another, w wide, cx channels; skip: twice the size, cs channels */
  int (*upsample_forward)(CudaStream, long rows, long w, long cx, long cs, const float *x, const float *skip,
                          float *y);
  int (*upsample_backward)(CudaStream, long rows, long w, long cx, long cs, const float *dy, float *dx,
                           bool add);
  int (*skip_backward)(CudaStream, long pixels, long cx, long cs, const float *dy, float *dskip, bool add);
  int (*adamw)(CudaStream, long n, float *p, float *m, float *v, const float *g, float lr, float beta1,
               float beta2, float eps, float decay, long step);
  /* v: NULL without momentum */
  int (*sgd)(CudaStream, long n, float *p, float *v, const float *g, float lr, float momentum, float decay,
             bool nesterov);
} CudaOps;

const CudaOps *cuda_ops(void);

#endif
