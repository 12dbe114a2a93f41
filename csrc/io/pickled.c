/* NumPy arrays in pickles: see pickled.h. An array is a call of _reconstruct whose attributes are (version, shape, dtype,
 * Fortran order, bytes), or, from protocol 5 on, _frombuffer(bytes, dtype, shape, order); a dtype is a call with its
 * code ("f4") and, in its attributes, the order of bytes. */
#include "io/pickled.h"

#include "core/error.h"
#include "io/kind.h"

#include <string.h>

enum { LIMIT = 1 << 28 };

static const char *const allowed[] = {"numpy.core.multiarray._reconstruct",
                                      "numpy._core.multiarray._reconstruct",
                                      "numpy.core.numeric._frombuffer",
                                      "numpy._core.numeric._frombuffer",
                                      "numpy.ndarray",
                                      "numpy.dtype",
                                      "numpy.core.multiarray.scalar",
                                      "numpy._core.multiarray.scalar",
                                      "collections.OrderedDict",
                                      "collections.Counter",
                                      "_codecs.encode",
                                      "builtins.bytearray",
                                      NULL};

enum { RECONSTRUCT, RECONSTRUCT_NEW, FROM_BUFFER, FROM_BUFFER_NEW, NDARRAY, DTYPE };

int pickled_read(const char *path, Pickled *out) {
  *out = (Pickled){.path = path};
  if (!file_read(path, LIMIT, &out->file)) return 0;
  out->budget = ((size_t)1 << 16) + 8 * out->file.size;
  int ok = out->file.size >= 2 && out->file.data[0] == 0x80 && out->file.data[1] <= 5;
  if (!ok)
    fail_kind_of(path, out->file.data, out->file.size, "a pickle");
  else
    ok = pickle_read(path, out->file.data, out->file.size, allowed, &out->pickle);
  if (!ok) bytes_free(&out->file);
  return ok;
}

void pickled_free(Pickled *p) {
  pickle_free(&p->pickle);
  bytes_free(&p->file);
}

int pickled_spend(Pickled *p, size_t bytes) {
  if (bytes > p->budget)
    return fail("%s: expected values of about the size of the file, found more", p->path);
  p->budget -= bytes;
  return 1;
}

static const PickleValue *item(const Pickled *p, const PickleValue *v, uint32_t i) {
  return &p->pickle.values[v->as.items[i]];
}

/* Which name a call is of, -1 for none. */
static int64_t callee(const Pickled *p, const PickleValue *v) {
  if (v->kind != PICKLE_CALL) return -1;
  const PickleValue *f = &p->pickle.values[v->as.pair[0]];
  return f->kind == PICKLE_GLOBAL ? f->as.number : -1;
}

int pickled_is_array(const Pickled *p, const PickleValue *v) {
  int64_t name = callee(p, v);
  return name >= RECONSTRUCT && name <= FROM_BUFFER_NEW;
}

/* The attributes of a call, a tuple of at least so many; NULL for none. */
static const PickleValue *attributes(const Pickled *p, const PickleValue *v, uint32_t least) {
  const PickleValue *a = v->room ? &p->pickle.values[v->room - 1] : NULL;
  return a && a->kind == PICKLE_TUPLE && a->count >= least ? a : NULL;
}

static int read_dtype(const Pickled *p, const PickleValue *v, Dtype *out) {
  static const struct {
    char code[3];
    Dtype dtype;
  } known[] = {{"f2", F16}, {"f4", F32}, {"f8", F64}, {"u1", U8}, {"i4", I32}, {"i8", I64}};
  const PickleValue *arguments = callee(p, v) == DTYPE ? &p->pickle.values[v->as.pair[1]] : NULL;
  const PickleValue *code = arguments && arguments->count ? item(p, arguments, 0) : NULL;
  const PickleValue *state = arguments ? attributes(p, v, 2) : NULL,
                    *order = state ? item(p, state, 1) : NULL;
  char text[32] = "another";
  if (code && code->kind == PICKLE_TEXT) {
    pickle_text(text, sizeof text, code->as.text, code->count);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
      int same = strcmp(known[i].code, text) == 0;
      int little = !order || order->kind != PICKLE_TEXT || order->count != 1 || order->as.text[0] != '>';
      if (same && little) return *out = known[i].dtype, 1;
    }
  }
  return fail(
      "%s: expected arrays of float16, float32, float64, uint8, int32 or int64, little-endian, found %s",
      p->path, text);
}

/* What an array is made of. */
typedef struct Parts {
  const PickleValue *shape, *dtype, *data;
  int fortran;
} Parts;

static int parts_of(const Pickled *p, const PickleValue *v, Parts *out) {
  const int from_buffer = callee(p, v) >= FROM_BUFFER;
  const PickleValue *all = from_buffer ? &p->pickle.values[v->as.pair[1]] : attributes(p, v, 5);
  if (!all || all->count < (from_buffer ? 4 : 5)) return 0;
  const PickleValue *order = item(p, all, 3);
  *out = (Parts){.shape = item(p, all, from_buffer ? 2 : 1),
                 .dtype = item(p, all, from_buffer ? 1 : 2),
                 .data = item(p, all, from_buffer ? 0 : 4),
                 .fortran = from_buffer
                                ? order->kind == PICKLE_TEXT && order->count == 1 && *order->as.text == 'F'
                                : order->kind == PICKLE_BOOL && order->as.number};
  return out->shape->kind == PICKLE_TUPLE && out->data->kind == PICKLE_BYTES;
}

Tensor *pickled_array(Pickled *p, const PickleValue *v) {
  Parts parts;
  long shape[RANK_MAX];
  size_t count = 1;
  Dtype dtype = F32;
  if (!parts_of(p, v, &parts) || parts.shape->count > RANK_MAX || (parts.fortran && parts.shape->count > 1)) {
    fail("%s: expected arrays of at most 8 dimensions in C order, found another", p->path);
    return NULL;
  }
  const PickleValue *sizes = parts.shape, *data = parts.data;
  for (uint32_t d = 0; d < sizes->count; d++) {
    const PickleValue *n = item(p, sizes, d);
    if (n->kind != PICKLE_INT || n->as.number < 0 ||
        __builtin_mul_overflow(count, (size_t)n->as.number, &count) || count > LIMIT) {
      fail("%s: expected arrays of a size that the file can hold, found another", p->path);
      return NULL;
    }
    shape[d] = (long)n->as.number;
  }
  if (!read_dtype(p, parts.dtype, &dtype)) return NULL;
  if (data->count != count * dtype_bytes[dtype]) {
    fail("%s: expected %zu bytes in an array, found %u", p->path, count * dtype_bytes[dtype], data->count);
    return NULL;
  }
  if (!pickled_spend(p, 512 + data->count)) return NULL;
  Tensor *t = tensor_new(dtype, (int)sizes->count, shape);
  if (t && data->count) memcpy(tensor_write(t), data->as.text, data->count);
  return t;
}
