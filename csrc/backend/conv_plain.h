/* The plain convolution, written once for both precisions: conv_plain.c includes it with PLAIN_REAL,
 * PLAIN_EPILOGUE, PLAIN_GEMM and PLAIN(name) set. Patches are laid out as rows of a matrix (im2col), a block
 * of output rows at a time, and multiplied by OpenBLAS. No include guard, on purpose. */

/* Output rows y0 .. y1-1 of one image, group channels c0 .. c0+c-1: columns (y1-y0)*wo, kh*kw*c. */
static void PLAIN(patches)(const ConvShape *s, const PLAIN_REAL *x, long c0, long c, long y0, long y1,
                           PLAIN_REAL *p) {
  for (long y = y0; y < y1; y++) {
    for (long o = 0; o < s->wo; o++) {
      for (long i = 0; i < s->kh; i++) {
        for (long j = 0; j < s->kw; j++, p += c) {
          long yy = y * s->stride_h - s->top + i * s->dilation_h,
               xx = o * s->stride_w - s->left + j * s->dilation_w;
          bool inside = yy >= 0 && yy < s->h && xx >= 0 && xx < s->w;
          const PLAIN_REAL *from = inside ? x + (yy * s->w + xx) * s->ci + c0 : NULL;
          for (long k = 0; k < c; k++) p[k] = from ? from[k] : 0;
        }
      }
    }
  }
}

/* The transpose of patches: adds them back to where they came from. */
static void PLAIN(unpatch)(const ConvShape *s, PLAIN_REAL *x, long c0, long c, long y0, long y1,
                           const PLAIN_REAL *p) {
  for (long y = y0; y < y1; y++) {
    for (long o = 0; o < s->wo; o++) {
      for (long i = 0; i < s->kh; i++) {
        for (long j = 0; j < s->kw; j++, p += c) {
          long yy = y * s->stride_h - s->top + i * s->dilation_h,
               xx = o * s->stride_w - s->left + j * s->dilation_w;
          if (yy < 0 || yy >= s->h || xx < 0 || xx >= s->w) continue;
          PLAIN_REAL *to = x + (yy * s->w + xx) * s->ci + c0;
          for (long k = 0; k < c; k++) to[k] += p[k];
        }
      }
    }
  }
}

/* y: pixels,co of one block; residual: its part or NULL. */
static void PLAIN(finish)(const PLAIN_EPILOGUE *e, long pixels, long co, const PLAIN_REAL *residual,
                          PLAIN_REAL *y) {
  for (long p = 0; p < pixels; p++) {
    for (long c = 0; c < co; c++) {
      long i = p * co + c;
      PLAIN_REAL v = y[i];
      if (e->scale) v *= e->scale[c];
      if (e->shift) v += e->shift[c];
      if (residual) v += residual[i];
      if (e->act != ACT_NONE && v < 0) v = 0;
      if (e->act == ACT_RELU6 && v > 6) v = 6;
      y[i] = v;
    }
  }
}

/* What the three directions share: a walk over images, blocks of output rows and groups, with room for
 * patches. */
enum { PLAIN(FORWARD), PLAIN(DATA), PLAIN(WEIGHT) };

static int PLAIN(walk)(int direction, const ConvShape *s, PLAIN_REAL *x, PLAIN_REAL *weight, PLAIN_REAL *y,
                       const PLAIN_EPILOGUE *e) {
  long c = s->ci / s->groups, o = s->co / s->groups, k = s->kh * s->kw * c;
  long rows = (4L << 20) / (s->wo * k) + 1; /* 32 MB of patches at most, or one row */
  if (rows > s->ho) rows = s->ho;
  size_t bytes = (size_t)(rows * s->wo * k) * sizeof(PLAIN_REAL);
  PLAIN_REAL *p = memory_take(bytes);
  int ok = p != NULL;
  for (long n = 0; ok && n < s->n; n++) {
    PLAIN_REAL *xn = x + n * s->h * s->w * s->ci, *yn = y + n * s->ho * s->wo * s->co;
    for (long y0 = 0; ok && y0 < s->ho; y0 += rows) {
      long y1 = y0 + rows < s->ho ? y0 + rows : s->ho, m = (y1 - y0) * s->wo;
      PLAIN_REAL *block = yn + y0 * s->wo * s->co;
      for (long g = 0; ok && g < s->groups; g++) {
        PLAIN_REAL *w = weight + g * o * k, *b = block + g * o;
        if (direction == PLAIN(DATA)) {
          ok = PLAIN_GEMM(false, false, m, k, o, 1, b, s->co, w, k, 0, p, k);
          PLAIN(unpatch)(s, xn, g * c, c, y0, y1, p);
          continue;
        }
        PLAIN(patches)(s, xn, g * c, c, y0, y1, p);
        ok = direction == PLAIN(FORWARD) ? PLAIN_GEMM(false, true, m, o, k, 1, p, k, w, k, 0, b, s->co)
                                         : PLAIN_GEMM(true, false, o, k, m, 1, b, s->co, p, k, 1, w, k);
      }
      if (ok && direction == PLAIN(FORWARD) && e) {
        const PLAIN_REAL *residual = e->residual ? e->residual + (block - y) : NULL;
        PLAIN(finish)(e, m, s->co, residual, block);
      }
    }
  }
  memory_give(p, bytes);
  return ok;
}

/* The casts away from const: each direction writes only its own result. Where there are no channels or no
 * pixels to read, sums are 0. */
int PLAIN(forward)(const ConvShape *s, const PLAIN_REAL *x, const PLAIN_REAL *weight, const PLAIN_EPILOGUE *e,
                   PLAIN_REAL *y) {
  if (!conv_reads(s)) {
    memset(y, 0, (size_t)(s->n * s->ho * s->wo * s->co) * sizeof *y);
    if (e) PLAIN(finish)(e, s->n * s->ho * s->wo, s->co, e->residual, y);
    return 1;
  }
  return PLAIN(walk)(PLAIN(FORWARD), s, (PLAIN_REAL *)x, (PLAIN_REAL *)weight, y, e);
}

int PLAIN(backward_data)(const ConvShape *s, const PLAIN_REAL *dy, const PLAIN_REAL *weight, PLAIN_REAL *dx,
                         bool add) {
  if (!add) memset(dx, 0, (size_t)(s->n * s->h * s->w * s->ci) * sizeof *dx);
  return PLAIN(walk)(PLAIN(DATA), s, dx, (PLAIN_REAL *)weight, (PLAIN_REAL *)dy, NULL);
}

int PLAIN(backward_weight)(const ConvShape *s, const PLAIN_REAL *x, const PLAIN_REAL *dy, PLAIN_REAL *dw,
                           bool add) {
  if (!add) memset(dw, 0, (size_t)(s->co * s->kh * s->kw * (s->ci / s->groups)) * sizeof *dw);
  if (!conv_reads(s)) return 1;
  return PLAIN(walk)(PLAIN(WEIGHT), s, (PLAIN_REAL *)x, dw, (PLAIN_REAL *)dy, NULL);
}
