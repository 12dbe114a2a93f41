/* Samples on disk: what the pseudo-labels of one frame come to, one compressed file each, read by the
 * loader's threads. Nothing here knows how the maps were made. */
#include "data/loader.h"

#include "core/error.h"
#include "io/array.h"
#include "io/file.h"

#include <string.h>

void sample_free(Sample *s) {
  Tensor *all[] = {s->image, s->maps, s->person, s->points};
  for (int i = 0; i < 4; i++) tensor_release(all[i]);
  memset(s, 0, sizeof *s);
}

/* bundle_add takes the reference over in any case. */
static int add(Bundle *b, const char *name, Tensor *t) {
  return t && bundle_add(b, name, strlen(name), tensor_retain(t));
}

int sample_write(const char *path, const Sample *s, const char *folder) {
  Bundle b = {0};
  Sink to;
  Tensor *content = tensor_new(I32, 1, (long[]){2});
  int ok = content != NULL;
  if (ok) {
    int32_t *c = content->storage->data;
    c[0] = (int32_t)s->content_w;
    c[1] = (int32_t)s->content_h;
  }
  ok = ok && add(&b, "image", s->image) && add(&b, "maps", s->maps) && add(&b, "person", s->person) &&
       add(&b, "points", s->points) && add(&b, "content", content) && sink_open_by(&to, path, folder);
  if (ok) {
    to.durable = 0; /* a damaged one is made again */
    ok = npz_write_sink(&to, &b, 1);
  }
  bundle_free(&b);
  tensor_release(content);
  return ok;
}

/* The array of that name, checked; a new reference. */
static Tensor *take(const Bundle *b, const char *path, const char *name, Dtype dtype, int rank) {
  for (long i = 0; i < b->count; i++) {
    Tensor *t = b->items[i].tensor;
    if (strcmp(b->items[i].name, name)) continue;
    if (t->dtype == dtype && t->rank == rank) return tensor_retain(t);
    fail("%s: %s: expected %s with %d dimensions, found %s %s", path, name, dtype_name[dtype], rank,
         dtype_name[t->dtype], tensor_text(t));
    return NULL;
  }
  fail("%s: expected an array %s, found none", path, name);
  return NULL;
}

int sample_read(const char *path, Sample *out) {
  Bundle b = {0};
  memset(out, 0, sizeof *out);
  if (!npz_read(path, &b)) {
    bundle_free(&b);
    return 0;
  }
  Tensor *content = NULL;
  int ok = (out->image = take(&b, path, "image", U8, 3)) && (out->maps = take(&b, path, "maps", U8, 3)) &&
           (out->person = take(&b, path, "person", U8, 2)) &&
           (out->points = take(&b, path, "points", F32, 2)) && (content = take(&b, path, "content", I32, 1));
  bundle_free(&b);
  if (ok) {
    const long *s = out->image->shape, *m = out->maps->shape, *p = out->person->shape,
               *q = out->points->shape;
    const int32_t *c = tensor_data(content);
    ok = s[2] == 3 && m[0] == s[0] && m[1] == s[1] && p[0] == s[0] && p[1] == s[1] && q[0] == m[2] &&
         q[1] == 2 && content->shape[0] == 2 && c[0] >= 1 && c[1] >= 1 && c[0] <= s[1] && c[1] <= s[0];
    if (ok)
      out->content_w = c[0], out->content_h = c[1];
    else
      fail("%s: expected arrays of one size, found image %s, maps %s, person %s, points %s", path,
           tensor_text(out->image), tensor_text(out->maps), tensor_text(out->person),
           tensor_text(out->points));
  }
  tensor_release(content);
  if (!ok) sample_free(out);
  return ok;
}
