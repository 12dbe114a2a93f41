/* Dense inverse search: from the coarsest level to the finest, search patches, spread them over the pixels,
 * refine; at the end the finest level is enlarged to the images' size. The steps are the device's
 * (flow_kernels.h). */
#include "motion/flow.h"

#include "core/error.h"
#include "motion/kernels.h"

enum {
  LEVELS = 20,
  SIDE = 1 << 16, /* longest side of an image */
};

typedef struct Flow {
  Device *device;
  const FlowKernels *step;
  long h, w;
  int finest, coarsest;
  FlowSeries series; /* of all but what is of the first image alone */
  FlowImage a[LEVELS], b[LEVELS];
  FlowImage ax, ay;
  FlowField field, coarse; /* of this level and of the one before */
  FlowSearch search;
  float *weight, *refine;
  float *block;
  long floats;
} Flow;

static long floats_of(const Flow *f) { return f->floats + (f->series.count - 1) * f->series.apart; }

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
  return p ? flow_image_at(p, h, w) : (FlowImage){.h = h, .w = w};
}

static FlowField field_part(Flow *f, long h, long w) {
  long stride = field_stride(w);
  float *u = part(f, h * stride), *v = part(f, h * stride);
  return (FlowField){h, w, stride, u, v, f->series};
}

static void lay_out(Flow *f) {
  const long h = level_side(f->h, f->finest), w = level_side(f->w, f->finest);
  f->floats = 0;
  for (int l = 0; l <= f->coarsest; l++) f->a[l] = image_part(f, level_side(f->h, l), level_side(f->w, l));
  f->ax = image_part(f, h, w);
  f->ay = image_part(f, h, w);
  const long first = f->floats;
  for (int l = 0; l <= f->coarsest; l++) {
    f->b[l] = image_part(f, level_side(f->h, l), level_side(f->w, l));
    f->b[l].series = f->series;
  }
  f->field = field_part(f, h, w);
  f->coarse = field_part(f, h, w);
  f->weight = part(f, h * field_stride(w));
  f->search.u = part(f, count_patches(h) * count_patches(w));
  f->search.v = part(f, count_patches(h) * count_patches(w));
  f->refine = part(f, f->step->refine_floats(h, w));
  f->series.apart = f->floats - first;
}

static int search_level(Flow *f, int level) {
  const FlowKernels *step = f->step;
  const FlowImage *a = &f->a[level], *b = &f->b[level];
  Device *d = f->device;
  f->ax = flow_image_at(f->ax.at - FLOW_BORDER * f->ax.stride - FLOW_BORDER, a->h, a->w);
  f->ay = flow_image_at(f->ay.at - FLOW_BORDER * f->ay.stride - FLOW_BORDER, a->h, a->w);
  FlowField last = f->field;
  f->field = (FlowField){a->h, a->w, field_stride(a->w), f->coarse.u, f->coarse.v, f->series};
  f->coarse = last;
  FlowSearch *s = &f->search;
  *s = (FlowSearch){a, b, &f->ax, &f->ay, count_patches(a->h), count_patches(a->w), s->u, s->v};
  return step->slopes(d, a, &f->ax, &f->ay) && step->start(d, s, level < f->coarsest ? &f->coarse : NULL) &&
         step->search(d, s) && step->densify(d, s, &f->field, f->weight) &&
         step->refine(d, a, b, &f->field, f->refine);
}

static int run(Flow *f, const uint8_t *a, const uint8_t *const *b, int channels, float *const *flow) {
  const FlowKernels *step = f->step;
  Device *d = f->device;
  if (!step->grey(d, &a, channels, &f->a[0]) || !step->grey(d, b, channels, &f->b[0])) return 0;
  for (int l = 1; l <= f->coarsest; l++)
    if (!step->halve(d, &f->a[l - 1], &f->a[l]) || !step->halve(d, &f->b[l - 1], &f->b[l])) return 0;
  for (int l = f->coarsest; l >= f->finest; l--)
    if (!search_level(f, l)) return 0;
  return step->finish(d, &f->field, f->finest, f->h, f->w, flow);
}

/* So many flows at once. */
static int together(Flow *f, const uint8_t *a, const uint8_t *const *b, int n, int channels,
                    float *const *flow) {
  f->block = NULL;
  f->series.count = n;
  lay_out(f);
  const size_t bytes = (size_t)floats_of(f) * sizeof(float);
  if (!(f->block = f->device->take(f->device, bytes))) return 0;
  lay_out(f);
  int ok = run(f, a, b, channels, flow);
  f->device->give(f->device, f->block, bytes);
  return ok;
}

int flow_dis(Device *device, const uint8_t *a, const uint8_t *const *b, int n, long h, long w, int channels,
             float *const *flow) {
  if (h < 1 || w < 1 || h > SIDE || w > SIDE)
    return fail("flow: expected images of 1x1 to %dx%d, found %ldx%ld", SIDE, SIDE, h, w);
  if (channels != 1 && channels != 3) return fail("flow: expected 1 or 3 channels, found %d", channels);
  Flow f = {.device = device, .step = motion_kernels(device)->flow, .h = h, .w = w};
  const int most = f.step->together;
  choose_levels(&f);
  for (int i = 0; i < n; i += most)
    if (!together(&f, a, b + i, n - i < most ? n - i : most, channels, flow + i)) return 0;
  return 1;
}

int flow_check(Device *device, const float *forward, const float *backward, long h, long w, float a, float b,
               uint8_t *valid) {
  if (h < 1 || w < 1) return fail("flow check: expected a size of at least 1x1, found %ldx%ld", h, w);
  if (!(a >= 0 && b >= 0))
    return fail("flow check: expected tolerances of at least 0, found %g and %g", a, b);
  return motion_kernels(device)->flow->check(device, forward, backward, h, w, a, b, valid);
}
