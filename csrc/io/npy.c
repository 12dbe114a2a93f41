/* NumPy's .npy (numpy.lib.format, versions 1.0 to 3.0). The header is a Python dict: only the form that NumPy
 * itself writes is understood. Structured, object, complex and string arrays are refused by name. */
#include "io/array.h"

#include "core/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_MAX = 1 << 16, CHUNK = 1 << 14 };

typedef struct Header {
  char kind, order; /* f u i b, < or > */
  int bytes;
  int fortran;
  int rank;
  long shape[RANK_MAX];
  Dtype dtype; /* what the elements become */
  long count;
} Header;

/* ---- the dict ---- */

static const char *skip(const char *at) {
  while (*at == ' ' || *at == '\n' || *at == '\t') at++;
  return at;
}

/* After 'key' and a colon, or NULL. */
static const char *value_of(const char *text, const char *key) {
  char quoted[32];
  for (const char *quotes = "'\""; *quotes; quotes++) {
    snprintf(quoted, sizeof quoted, "%c%s%c", *quotes, key, *quotes);
    const char *at = strstr(text, quoted);
    if (at && *(at = skip(at + strlen(quoted))) == ':') return skip(at + 1);
  }
  return NULL;
}

static int parse_shape(const char *at, Header *h, const char *name) {
  if (!at || *at != '(') return fail("%s: expected a shape in the .npy header, found none", name);
  h->count = 1;
  for (at = skip(at + 1); *at != ')'; at = skip(at)) {
    char *end;
    long n = strtol(at, &end, 10);
    if (end == at || *at < '0' || *at > '9')
      return fail("%s: expected sizes in the .npy shape, found \"%.20s\"", name, at);
    if (h->rank == RANK_MAX) return fail("%s: expected at most %d dimensions, found more", name, RANK_MAX);
    h->shape[h->rank++] = n;
    if (__builtin_mul_overflow(h->count, n, &h->count))
      return fail("%s: expected a shape that memory can hold, found %s", name, shape_text(h->rank, h->shape));
    at = skip(end);
    if (*at == ',')
      at++;
    else if (*at != ')')
      return fail("%s: expected a comma in the .npy shape, found \"%.20s\"", name, at);
  }
  return 1;
}

/* What the elements become; 0 when no dtype holds them. */
static int choose_dtype(Header *h) {
  static const struct {
    char kind;
    int bytes;
    Dtype dtype;
  } known[] = {
      {'f', 2, F16}, {'f', 4, F32}, {'f', 8, F64}, {'b', 1, U8},  {'u', 1, U8},  {'u', 2, I32},
      {'u', 4, I64}, {'i', 1, I32}, {'i', 2, I32}, {'i', 4, I32}, {'i', 8, I64},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (known[i].kind == h->kind && known[i].bytes == h->bytes) {
      h->dtype = known[i].dtype;
      return 1;
    }
  return 0;
}

static int parse_descr(const char *at, Header *h, const char *name) {
  if (!at) return fail("%s: expected a dtype in the .npy header, found none", name);
  char order, quote = *at, kind;
  int bytes, used = 0;
  if ((quote == '\'' || quote == '"') && sscanf(at + 1, "%c%c%3d%n", &order, &kind, &bytes, &used) == 3 &&
      at[1 + used] == quote && strchr("<>|=", order)) {
    h->order = order == '>' ? '>' : '<';
    h->kind = kind;
    h->bytes = bytes;
    if (choose_dtype(h)) return 1;
  }
  return fail("%s: expected a real or integer dtype of up to 64 bits, found %.20s", name, at);
}

static int parse_header(Stream *s, Header *h) {
  unsigned char head[12];
  if (s->left < 10) return fail("%s: expected a .npy array, found %zu bytes", s->name, s->left);
  if (!s->take(s, head, 10)) return 0;
  if (memcmp(head, "\x93NUMPY", 6) != 0)
    return fail("%s: expected a .npy array, found another kind", s->name);
  if (head[6] < 1 || head[6] > 3) return fail("%s: expected .npy version 1 to 3, found %d", s->name, head[6]);
  size_t length = head[8] | (size_t)head[9] << 8;
  if (head[6] > 1) {
    if (s->left < 2) return fail("%s: expected a .npy header, found the end", s->name);
    if (!s->take(s, head + 10, 2)) return 0;
    length |= (size_t)head[10] << 16 | (size_t)head[11] << 24;
  }
  if (length > HEADER_MAX || length > s->left)
    return fail("%s: expected a .npy header within the file, found %zu bytes claimed", s->name, length);
  char text[HEADER_MAX + 1];
  if (!s->take(s, text, length)) return 0;
  text[length] = 0;
  const char *order = value_of(text, "fortran_order");
  if (*skip(text) != '{' || !order || (strncmp(order, "True", 4) != 0 && strncmp(order, "False", 5) != 0))
    return fail("%s: expected a .npy header, found \"%.20s\"", s->name, text);
  h->fortran = *order == 'T';
  return parse_descr(value_of(text, "descr"), h, s->name) && parse_shape(value_of(text, "shape"), h, s->name);
}

/* ---- the data ---- */

static void swap_bytes(unsigned char *data, long count, int bytes) {
  for (long i = 0; i < count; i++, data += bytes)
    for (int a = 0, b = bytes - 1; a < b; a++, b--) {
      unsigned char keep = data[a];
      data[a] = data[b];
      data[b] = keep;
    }
}

/* count elements of the file's kind into the tensor's wider one */
static void widen(const Header *h, const void *from, void *to, long count) {
  for (long i = 0; i < count; i++) {
    if (h->kind == 'u' && h->bytes == 4)
      ((int64_t *)to)[i] = ((const uint32_t *)from)[i];
    else if (h->kind == 'u')
      ((int32_t *)to)[i] = ((const uint16_t *)from)[i];
    else if (h->bytes == 2)
      ((int32_t *)to)[i] = ((const int16_t *)from)[i];
    else if (h->kind == 'i')
      ((int32_t *)to)[i] = ((const int8_t *)from)[i];
    else
      ((uint8_t *)to)[i] = ((const uint8_t *)from)[i] != 0; /* bool */
  }
}

static int take_data(Stream *s, const Header *h, char *to) {
  size_t wide = dtype_bytes[h->dtype];
  int direct = (size_t)h->bytes == wide && h->kind != 'b';
  uint64_t buffer[CHUNK / 8];
  for (long done = 0, n; done < h->count; done += n) {
    n = CHUNK / h->bytes < h->count - done ? CHUNK / h->bytes : h->count - done;
    if (direct && h->order == '<') n = h->count;
    void *at = to + (size_t)done * wide, *raw = direct ? at : buffer;
    if (!s->take(s, raw, (size_t)n * (size_t)h->bytes)) return 0;
    if (h->order == '>') swap_bytes(raw, n, h->bytes);
    if (!direct) widen(h, raw, at, n);
  }
  return 1;
}

/* Column-major elements into row-major order. */
static Tensor *transposed(const Tensor *t) {
  Tensor *out = tensor_new(t->dtype, t->rank, t->shape);
  if (!out) return NULL;
  size_t bytes = dtype_bytes[t->dtype];
  const char *from = tensor_data(t);
  char *to = tensor_write(out);
  long index[RANK_MAX] = {0}, stride[RANK_MAX];
  for (int d = 0; d < t->rank; d++) stride[d] = d ? stride[d - 1] * t->shape[d - 1] : 1;
  for (long i = 0, at = 0; i < t->size; i++) {
    memcpy(to + (size_t)i * bytes, from + (size_t)at * bytes, bytes);
    for (int d = t->rank - 1; d >= 0; d--) { /* the next index in row-major order */
      at += stride[d];
      if (++index[d] < t->shape[d]) break;
      at -= stride[d] * t->shape[d];
      index[d] = 0;
    }
  }
  return out;
}

Tensor *npy_parse(Stream *s) {
  Header h = {0};
  if (!parse_header(s, &h)) return NULL;
  if ((size_t)h.count != s->left / (size_t)h.bytes || s->left % (size_t)h.bytes) {
    fail("%s: expected %s elements of %d bytes, found %zu bytes of data", s->name,
         shape_text(h.rank, h.shape), h.bytes, s->left);
    return NULL;
  }
  Tensor *t = tensor_new(h.dtype, h.rank, h.shape);
  if (!t) return NULL;
  Tensor *result = NULL;
  if (take_data(s, &h, tensor_write(t))) result = h.fortran && h.rank > 1 ? transposed(t) : tensor_retain(t);
  tensor_release(t);
  return result;
}

typedef struct FileStream {
  Stream stream;
  Source source;
} FileStream;

static int take_from_file(Stream *s, void *to, size_t size) {
  FileStream *f = (FileStream *)s;
  if (!source_read(&f->source, f->source.size - s->left, to, size)) return 0;
  s->left -= size;
  return 1;
}

Tensor *npy_read(const char *path) {
  FileStream f = {.stream = {take_from_file, path, 0}};
  if (!source_open(&f.source, path)) return NULL;
  f.stream.left = f.source.size;
  Tensor *t = npy_parse(&f.stream);
  source_close(&f.source);
  return t;
}

/* ---- writing ---- */

int npy_header(const Tensor *t, Bytes *out) {
  static const char *const descr[DTYPES] = {"<f4", "<f8", "|u1", "<i4", "<i8", NULL, "<f2"};
  *out = (Bytes){0};
  if (!descr[t->dtype]) return fail("npy: expected a dtype that NumPy has, found %s", dtype_name[t->dtype]);
  char shape[RANK_MAX * 24] = "", text[512];
  for (int d = 0, at = 0; d < t->rank; d++)
    at += snprintf(shape + at, sizeof shape - (size_t)at, "%s%ld%s", d ? ", " : "", t->shape[d],
                   t->rank == 1 ? "," : "");
  int n = snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }",
                   descr[t->dtype], shape);
  while ((10 + n + 1) % 64) text[n++] = ' '; /* data start at a multiple of 64 */
  text[n++] = '\n';
  unsigned char head[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)n, (unsigned char)(n >> 8)};
  if (bytes_add(out, head, 10) && bytes_add(out, text, (size_t)n)) return 1;
  bytes_free(out);
  return 0;
}

int npy_write(const char *path, const Tensor *t) {
  Bytes header;
  Sink s;
  if (!npy_header(t, &header)) return fail("%s: %s", path, error_message());
  if (!sink_open(&s, path)) {
    bytes_free(&header);
    return 0;
  }
  int ok = sink_write(&s, header.data, header.size) && sink_write(&s, tensor_data(t), tensor_bytes(t));
  bytes_free(&header);
  if (ok) return sink_commit(&s);
  sink_abort(&s);
  return 0;
}
