/* Flow fields: Middlebury's .flo and KITTI's PNG. */
#include "io/array.h"

#include "core/error.h"
#include "io/image.h"
#include "io/kind.h"

#include <string.h>

/* Middlebury's header: the float 202021.25, then width and height. */
typedef struct Header {
  float tag;
  int32_t width, height;
} Header;

static const float TAG = 202021.25f;

static Tensor *read_body(const Source *s) {
  Header h;
  if (s->size < sizeof h) return fail_kind(s, "a .flo file"), NULL;
  if (!source_read(s, 0, &h, sizeof h)) return NULL;
  if (h.tag != TAG) {
    fail_kind(s, "a .flo file");
    return NULL;
  }
  double wanted = h.width > 0 && h.height > 0 ? sizeof h + 8.0 * h.width * h.height : 0;
  if (wanted != (double)s->size) {
    fail("%s: expected %.0f bytes for a flow of %dx%d, found %zu", s->path, wanted, h.width, h.height,
         s->size);
    return NULL;
  }
  Tensor *flow = tensor_new(F32, 3, (long[]){h.height, h.width, 2});
  if (flow && source_read(s, sizeof h, tensor_write(flow), tensor_bytes(flow))) return flow;
  tensor_release(flow);
  return NULL;
}

Tensor *flo_read(const char *path) {
  Source s;
  if (!source_open(&s, path)) return NULL;
  Tensor *flow = read_body(&s);
  source_close(&s);
  return flow;
}

int flo_write(const char *path, const Tensor *flow) {
  if (flow->dtype != F32 || flow->rank != 3 || flow->shape[2] != 2 || flow->size == 0 ||
      flow->shape[0] > INT32_MAX || flow->shape[1] > INT32_MAX)
    return fail("%s: expected a float32 flow HxWx2, found %s %s", path, dtype_name[flow->dtype],
                tensor_text(flow));
  Header h = {TAG, (int32_t)flow->shape[1], (int32_t)flow->shape[0]};
  Sink s;
  if (!sink_open(&s, path)) return 0;
  if (sink_write(&s, &h, sizeof h) && sink_write(&s, tensor_data(flow), tensor_bytes(flow)))
    return sink_commit(&s);
  sink_abort(&s);
  return 0;
}

/* The third channel of KITTI's flows tells where they are known, with one value: more values are those of a
 * colour picture. */
static int check_third(const char *path, const Tensor *image) {
  const int32_t *rgb = tensor_data(image);
  int32_t known = 0;
  for (long i = 2; i < image->size; i += 3) {
    if (rgb[i] != 0 && known != 0 && rgb[i] != known)
      return fail("%s: expected 0 and one other value in the third channel (known or not), found %d and %d",
                  path, (int)known, (int)rgb[i]);
    if (rgb[i] != 0) known = rgb[i];
  }
  return 1;
}

Tensor *flow_png_read(const char *path, Tensor **valid) {
  Tensor *image = png_read(path, PNG_FLOW);
  if (!image || !check_third(path, image)) {
    tensor_release(image);
    return NULL;
  }
  long shape[3] = {image->shape[0], image->shape[1], 2};
  Tensor *flow = tensor_new(F32, 3, shape), *known = tensor_new(U8, 2, shape);
  float *o = flow ? tensor_write(flow) : NULL;
  uint8_t *k = known ? tensor_write(known) : NULL;
  const int32_t *rgb = tensor_data(image);
  for (long i = 0; o && k && i < shape[0] * shape[1]; i++) {
    k[i] = rgb[3 * i + 2] != 0;
    for (int c = 0; c < 2; c++) o[2 * i + c] = k[i] ? (float)(rgb[3 * i + c] - 32768) / 64 : 0;
  }
  tensor_release(image);
  if (!o || !k) {
    tensor_release(flow);
    tensor_release(known);
    return NULL;
  }
  if (valid)
    *valid = known;
  else
    tensor_release(known);
  return flow;
}
