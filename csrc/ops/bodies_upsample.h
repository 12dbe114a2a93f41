/* Nearest x2 up-sampling joined with the skip connection's channels, channels-last. Index i is a pixel. */
#ifndef OPS_BODIES_UPSAMPLE_H
#define OPS_BODIES_UPSAMPLE_H

#include "ops/hot.h"

/* y[i] = x at half the position, then skip: cx and cs channels. */
HOT_KERNEL(
    upsample_forward,
    {
      const real *x;
      const real *skip;
      real *y;
      long w;
      long cx;
      long cs; /* of x */
    },
    {
      long column = i % (2 * a->w) / 2,
           row = i / (2 * a->w) / 2; /* row: of all images, one below the other */
      const real *restrict x = a->x + (row * a->w + column) * a->cx;
      const real *restrict skip = a->skip + i * a->cs;
      real *restrict y = a->y + i * (a->cx + a->cs);
      for (long k = 0; k < a->cx; k++) y[k] = x[k];
      y += a->cx;
      for (long k = 0; k < a->cs; k++) y[k] = skip[k];
    })

/* dx of pixel i of x: the sum over its four copies. */
HOT_KERNEL(
    upsample_backward,
    {
      const real *dy;
      real *dx;
      bool add;
      long w;
      long cx;
      long cs;
    },
    {
      long c = a->cx + a->cs, row = i / a->w, column = i % a->w;
      const real *restrict p = a->dy + (row * 4 * a->w + column * 2) * c;
      const real *restrict q = p + 2 * a->w * c;
      real *restrict dx = a->dx + i * a->cx;
      for (long k = 0; k < a->cx; k++) dx[k] = (a->add ? dx[k] : 0) + ((p[k] + p[c + k]) + (q[k] + q[c + k]));
    })

/* dskip of pixel i. */
HOT_KERNEL(
    skip_backward,
    {
      const real *dy;
      real *dskip;
      bool add;
      long cx;
      long cs;
    },
    {
      const real *restrict dy = a->dy + i * (a->cx + a->cs) + a->cx;
      real *restrict dskip = a->dskip + i * a->cs;
      for (long k = 0; k < a->cs; k++) dskip[k] = (a->add ? dskip[k] : 0) + dy[k];
    })

#endif
