/* Augmentation: one random geometry for image, maps, person mask and query points, then colour, blur and
 * noise on the image alone. Everything is a pure function of the generator that is handed in. */
#ifndef DATA_AUGMENT_H
#define DATA_AUGMENT_H

#include "core/random.h"
#include "core/tensor.h"

typedef struct Augment {
  bool on;         /* false: the sample as it is */
  double flip;     /* probability of a mirror image */
  double scale[2]; /* uniform in log scale */
  double rotate;   /* degrees, uniform in ± */
  double shift;    /* share of width and height, uniform in ± */
  double crop;    /* probability of a window around a hand, which is somewhere in its middle half, in place of
                      scale and shift … */
  double zoom[2]; /* … as many times smaller than the picture, uniform in log scale */
  double colour;  /* brightness, contrast and saturation: factors uniform in 1 ± */
  double blur;    /* probability of a 3×3 binomial blur */
  double noise;   /* largest standard deviation, share of the range */
  double paste, join; /* probabilities of a picture made of this sample and another (mix.h) */
} Augment;

/* How maps become the three classes. */
typedef struct Labelling {
  double tau;  /* an object pixel: the largest responsibility is above tau and it is no person */
  double band; /* |largest - tau| <= band: ignored (unless a person) */
} Labelling;

enum { LABEL_IGNORED, LABEL_PERSON, LABEL_OBJECT, LABEL_BACKGROUND };
#define MAP_IGNORED (-1.0f) /* responsibility where the picture has no pixel */

/* A training sample as it lies on disk, all at the size of the maps; content is what is not padding. */
typedef struct Sample {
  Tensor *image;  /* H×W×3 uint8 */
  Tensor *maps;   /* H×W×N uint8, responsibility × 255 */
  Tensor *person; /* H×W uint8, 0 or 255 */
  Tensor *points; /* N×2 float32, x y */
  long content_w, content_h;
} Sample;

/* Where the augmented sample goes, scaled to fit into w × h: one scale for both axes, padded right and bottom.
 * The network answers for every stride-th pixel of either axis: labels and maps are of ⌈h / stride⌉ × ⌈w /
 * stride⌉ blocks of pixels, taken where their middles lie, and points count blocks. maps: room for those of N
 * hands; `kept` remain, each with its point (x, y). */
typedef struct Slot {
  long w, h, stride;
  uint8_t *image; /* h·w·3 */
  int32_t *label; /* a block each */
  float *maps;    /* kept · a block each */
  float *points;  /* kept · 2 */
  long kept;
} Slot;

/* Fills the slot. Hands whose point leaves the picture are dropped; when none would remain the geometry is
 * left out. 0 with a message when memory is short. */
int augment_sample(const Sample *s, const Augment *a, const Labelling *l, Random *r, Slot *out);

#endif
