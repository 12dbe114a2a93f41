/* The sources of loader.h: pseudo-labels of hands, and arrays of any meaning. */
#include "data/loader.h"

#include "core/error.h"
#include "data/mix.h"
#include "io/array.h"

#include <string.h>

/* Its first `kept` rows. */
static int shorten(Tensor **t, long kept) {
  long shape[RANK_MAX];
  memcpy(shape, (*t)->shape, sizeof shape);
  if (shape[0] == kept) return 1;
  shape[0] = kept;
  Tensor *cut = tensor_view(*t, 0, (*t)->rank, shape);
  if (!cut) return 0;
  tensor_release(*t);
  *t = cut;
  return 1;
}

enum { IMAGE, LABEL, MAPS, POINTS, IMAGE_INDEX, HANDS_FIELDS };

/* The sample, mixed with the other one where there is one. */
static int augmented(const SampleSource *s, const Sample *sample, const Sample *other, Mixing how, Random *r,
                     Tensor **out) {
  const long k = s->stride, w = (s->width + k - 1) / k, h = (s->height + k - 1) / k;
  const long hands = sample->maps->shape[2] + (other ? other->maps->shape[2] : 0);
  if (!(out[IMAGE] = tensor_new(U8, 3, (long[]){s->height, s->width, 3})) ||
      !(out[LABEL] = tensor_new(I32, 2, (long[]){h, w})) ||
      !(out[MAPS] = tensor_new(F32, 3, (long[]){hands, h, w})) ||
      !(out[POINTS] = tensor_new(F32, 2, (long[]){hands, 2})))
    return 0;
  Slot slot = {.w = s->width,
               .h = s->height,
               .stride = k,
               .image = out[IMAGE]->storage->data,
               .label = out[LABEL]->storage->data,
               .maps = out[MAPS]->storage->data,
               .points = out[POINTS]->storage->data};
  int ok = augment_sample(sample, &s->augment, &s->labelling, r, &slot);
  if (ok && other) {
    Slot second = slot;
    Tensor *image = tensor_new(U8, 3, out[IMAGE]->shape), *label = tensor_new(I32, 2, out[LABEL]->shape);
    if ((ok = image && label)) {
      second.image = image->storage->data, second.label = label->storage->data;
      second.maps += slot.kept * h * w, second.points += slot.kept * 2;
      ok = augment_sample(other, &s->augment, &s->labelling, r, &second) &&
           mix(how, &s->labelling, r, &slot, &second);
    }
    tensor_release(image);
    tensor_release(label);
  }
  return ok && shorten(&out[MAPS], slot.kept) && shorten(&out[POINTS], slot.kept);
}

static int read_hands(const SampleSource *s, const char *const paths[2], Random *r, Tensor **out,
                      int *damaged) {
  Sample sample[2] = {0};
  const Mixing how = mix_draw(&s->augment, r);
  const int count = how == APART ? 1 : 2;
  int ok = 1;
  for (int i = 0; i < count && ok; i++)
    if (!(ok = sample_read(paths[i], &sample[i]))) *damaged = i;
  ok = ok && augmented(s, &sample[0], count > 1 ? &sample[1] : NULL, how, r, out);
  for (int i = 0; i < count; i++) sample_free(&sample[i]);
  return ok;
}

void hands_source(SampleSource *s) {
  static const Field fields[HANDS_FIELDS] = {{"image", STACK, 0},
                                             {"label", STACK, 0},
                                             {"maps", CONCAT, 0},
                                             {"points", CONCAT, 0},
                                             {"image_index", INDEX, MAPS}};
  memcpy(s->field, fields, sizeof fields);
  s->count = HANDS_FIELDS;
  s->read = read_hands;
}

static int read_arrays(const SampleSource *s, const char *const paths[2], Random *r, Tensor **out,
                       int *damaged) {
  (void)r;
  const char *path = paths[0];
  Bundle b = {0};
  int ok = npz_read(path, &b);
  if (!ok) *damaged = 0;
  for (int f = 0; ok && f < s->count; f++) {
    const Field *field = &s->field[f];
    if (field->how == INDEX) continue;
    for (long i = 0; i < b.count && !out[f]; i++)
      if (!strcmp(b.items[i].name, field->name)) out[f] = tensor_retain(b.items[i].tensor);
    if (!out[f])
      ok = fail("%s: expected an array %s, found none", path, field->name);
    else if (field->how == CONCAT && out[f]->rank < 1)
      ok = fail("%s: %s: expected rows to concatenate, found a scalar", path, field->name);
  }
  bundle_free(&b);
  return ok;
}

int arrays_source(SampleSource *s) {
  if (s->count < 1) return fail("loader: collate: expected fields, found none");
  s->read = read_arrays;
  return 1;
}
