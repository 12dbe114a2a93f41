/* Dense inverse search: from the coarsest level to the finest, search patches, spread them over the pixels,
 * refine; at the end the finest level is enlarged to the images' size. Searches in rows of patches that are
 * cut by the images' size alone, once with cuts at multiples of CHUNK and once half a chunk later, so that
 * displacements spread over the cuts too. */
#include "motion/flow.h"

#include "core/bilinear.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/pool.h"
#include "motion/flow_parts.h"

enum {
  LEVELS = 20,
  SIDE = 1 << 16, /* longest side of an image */
  CHUNK = 8,      /* rows of patches searched by one thread at a time */
  ROWS = 24,      /* rows of pixels of a chunk elsewhere */
};

typedef struct Flow {
  long h, w;
  int finest, coarsest;
  FlowImage a[LEVELS], b[LEVELS];
  FlowImage ax, ay;
  FlowField field, coarse; /* of this level and of the one before */
  FlowSearch search;
  float *weight, *refine, *out;
  float *block;
  long floats;
} Flow;

/* Medium settings of the paper: the finest level has half the size (the whole size for small images), the
 * coarsest about four patches along the longer side and at least one along the shorter. */
static void choose_levels(Flow *f) {
  long longer = f->h > f->w ? f->h : f->w, shorter = f->h > f->w ? f->w : f->h;
  f->finest = shorter < 4 * FLOW_PATCH ? 0 : 1;
  f->coarsest = f->finest;
  while ((longer >> f->coarsest) * 10 > 14 * 4 * FLOW_PATCH && shorter >> (f->coarsest + 1) >= FLOW_PATCH)
    f->coarsest++;
}

static long level_side(long n, int level) { return (n + (1L << level) - 1) >> level; }

static long count_patches(long n) {
  return n > FLOW_PATCH ? (n - FLOW_PATCH + FLOW_STRIDE - 1) / FLOW_STRIDE + 1 : 1;
}

static long field_stride(long w) { return (w + FLOW_PATCH + 15) / 16 * 16; }

/* Hands out parts of the block; counts only while there is none. */
static float *part(Flow *f, long floats) {
  float *p = f->block ? f->block + f->floats : 0;
  f->floats += (floats + 15) / 16 * 16;
  return p;
}

static FlowImage image_part(Flow *f, long h, long w) {
  float *p = part(f, flow_image_floats(h, w));
  return p ? flow_image_at(p, h, w) : (FlowImage){h, w, 0, 0};
}

static FlowField field_part(Flow *f, long h, long w) {
  long stride = field_stride(w);
  float *u = part(f, h * stride), *v = part(f, h * stride);
  return (FlowField){h, w, stride, u, v};
}

static void lay_out(Flow *f) {
  const long h = level_side(f->h, f->finest), w = level_side(f->w, f->finest);
  f->floats = 0;
  for (int l = 0; l <= f->coarsest; l++) {
    f->a[l] = image_part(f, level_side(f->h, l), level_side(f->w, l));
    f->b[l] = image_part(f, level_side(f->h, l), level_side(f->w, l));
  }
  f->ax = image_part(f, h, w);
  f->ay = image_part(f, h, w);
  f->field = field_part(f, h, w);
  f->coarse = field_part(f, h, w);
  f->weight = part(f, h * field_stride(w));
  f->search.u = part(f, count_patches(h) * count_patches(w));
  f->search.v = part(f, count_patches(h) * count_patches(w));
  f->refine = part(f, flow_refine_floats(h, w));
}

/* A field at a point, bilinear, clamped. */
static void field_at(const FlowField *f, float x, float y, float *u, float *v) {
  x = x > 0 ? x : 0;
  y = y > 0 ? y : 0;
  long ix = (long)x < f->w - 1 ? (long)x : f->w - 1, iy = (long)y < f->h - 1 ? (long)y : f->h - 1;
  Bilinear b = bilinear_at(ix, iy, x - (float)ix, y - (float)iy, f->w, f->h, f->stride);
  *u = bilinear_floats(&b, f->u, 1);
  *v = bilinear_floats(&b, f->v, 1);
}

/* Starts every patch with the coarser level's displacement of its centre, or with none. */
static void start_patches(Flow *f, int level) {
  FlowSearch *s = &f->search;
  const float middle = 0.5f * (FLOW_PATCH - 1);
  for (long r = 0; r < s->rows; r++)
    for (long c = 0; c < s->cols; c++) {
      float u = 0, v = 0, x = (float)flow_place(c, s->a->w) + middle,
            y = (float)flow_place(r, s->a->h) + middle;
      if (level < f->coarsest) field_at(&f->coarse, 0.5f * (x - 0.5f), 0.5f * (y - 0.5f), &u, &v);
      s->u[r * s->cols + c] = 2 * u;
      s->v[r * s->cols + c] = 2 * v;
    }
}

static int forward_chunk(void *arg, long chunk) {
  const FlowSearch *s = arg;
  long first = chunk * CHUNK, last = first + CHUNK;
  ISA_PICK(flow_search)(s, first, last < s->rows ? last : s->rows, 0);
  return 1;
}

static int backward_chunk(void *arg, long chunk) {
  const FlowSearch *s = arg;
  long first = chunk * CHUNK - CHUNK / 2, last = first + CHUNK;
  ISA_PICK(flow_search)(s, first > 0 ? first : 0, last < s->rows ? last : s->rows, 1);
  return 1;
}

static int densify_chunk(void *arg, long chunk) {
  const Flow *f = arg;
  long first = chunk * ROWS, last = first + ROWS;
  ISA_PICK(flow_densify)(&f->search, &f->field, f->weight, first, last < f->field.h ? last : f->field.h);
  return 1;
}

static int search_level(Flow *f, int level) {
  const FlowImage *a = &f->a[level];
  f->ax = flow_image_at(f->ax.at - FLOW_BORDER * f->ax.stride - FLOW_BORDER, a->h, a->w);
  f->ay = flow_image_at(f->ay.at - FLOW_BORDER * f->ay.stride - FLOW_BORDER, a->h, a->w);
  FlowField last = f->field;
  f->field = (FlowField){a->h, a->w, field_stride(a->w), f->coarse.u, f->coarse.v};
  f->coarse = last;
  FlowSearch *s = &f->search;
  *s = (FlowSearch){a, &f->b[level], &f->ax, &f->ay, count_patches(a->h), count_patches(a->w), s->u, s->v};
  if (!flow_slopes(a, &f->ax, &f->ay)) return 0;
  start_patches(f, level);
  return parallel((s->rows + CHUNK - 1) / CHUNK, forward_chunk, s) &&
         parallel((s->rows + CHUNK / 2 + CHUNK - 1) / CHUNK, backward_chunk, s) &&
         parallel((a->h + ROWS - 1) / ROWS, densify_chunk, f) &&
         flow_refine(a, &f->b[level], &f->field, f->refine);
}

/* The finest level's field at the images' size. */
static int finish_chunk(void *arg, long chunk) {
  const Flow *f = arg;
  const FlowField *field = &f->field;
  const long last = (chunk + 1) * ROWS < f->h ? (chunk + 1) * ROWS : f->h;
  float *local = scratch(0, 2 * (size_t)(field->w + 2) * sizeof *local);
  if (!local) return 0;
  for (long y = chunk * ROWS; y < last; y++) {
    float *out = f->out + 2 * y * f->w;
    if (f->finest) ISA_PICK(flow_enlarge_row)(field, y, f->w, out, local);
    for (long x = 0; !f->finest && x < f->w; x++) {
      out[2 * x] = field->u[y * field->stride + x];
      out[2 * x + 1] = field->v[y * field->stride + x];
    }
  }
  return 1;
}

static int run(Flow *f, const uint8_t *a, const uint8_t *b, int channels) {
  if (!flow_grey(a, channels, &f->a[0]) || !flow_grey(b, channels, &f->b[0])) return 0;
  for (int l = 1; l <= f->coarsest; l++)
    if (!flow_halve(&f->a[l - 1], &f->a[l]) || !flow_halve(&f->b[l - 1], &f->b[l])) return 0;
  for (int l = f->coarsest; l >= f->finest; l--)
    if (!search_level(f, l)) return 0;
  return parallel((f->h + ROWS - 1) / ROWS, finish_chunk, f);
}

int flow_dis(const uint8_t *a, const uint8_t *b, long h, long w, int channels, float *flow) {
  if (h < 1 || w < 1 || h > SIDE || w > SIDE)
    return fail("flow: expected images of 1x1 to %dx%d, found %ldx%ld", SIDE, SIDE, h, w);
  if (channels != 1 && channels != 3) return fail("flow: expected 1 or 3 channels, found %d", channels);
  Flow f = {.h = h, .w = w, .out = flow};
  choose_levels(&f);
  lay_out(&f);
  const size_t bytes = (size_t)f.floats * sizeof(float);
  if (!(f.block = memory_take(bytes))) return 0;
  lay_out(&f);
  int ok = run(&f, a, b, channels);
  memory_give(f.block, bytes);
  return ok;
}
