/* NumPy's .npy (numpy.lib.format, versions 1.0 to 3.0). The header is a Python dict: only the form that NumPy
 * itself writes is understood. Structured, object, complex and string arrays are refused by name. */
#include "io/array.h"

#include "core/error.h"
#include "io/kind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_MAX = 1 << 16, CHUNK = 1 << 14, DESCR_MAX = 60 };

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

/* How many bytes of the header a dtype takes, for messages: 'text' or [(list), …], cut where it is long. */
static int descr_size(const char *at) {
  int size = 1, depth = 1;
  if (*at == '\'' || *at == '"') {
    while (at[size] && at[size] != *at) size++;
    size += at[size] != 0;
  } else if (*at == '[' || *at == '(') {
    for (; at[size] && depth; size++) depth += strchr("[(", at[size]) ? 1 : strchr("])", at[size]) ? -1 : 0;
  } else {
    size = (int)strcspn(at, ",}");
  }
  return size;
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
  int size = descr_size(at);
  return fail("%s: expected a real or integer dtype of up to 64 bits, found %.*s%s", name,
              size < DESCR_MAX ? size : DESCR_MAX, at, size < DESCR_MAX ? "" : " ...");
}

/* Says what begins with the `size` bytes of `head` that were taken. */
static int refuse_kind(Stream *s, const unsigned char *head, size_t size) {
  unsigned char bytes[KIND_HEAD];
  size_t more = s->left < sizeof bytes - size ? s->left : sizeof bytes - size;
  memcpy(bytes, head, size);
  if (!s->take(s, bytes + size, more)) return 0;
  return fail_kind_of(s->name, bytes, size + more, "a .npy array");
}

static int parse_header(Stream *s, Header *h) {
  unsigned char head[12];
  size_t first = s->left < 10 ? s->left : 10;
  if (!s->take(s, head, first)) return 0;
  if (first < 6 || memcmp(head, "\x93NUMPY", 6) != 0) return refuse_kind(s, head, first);
  if (first < 10) return fail("%s: expected a .npy header, found the end", s->name);
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
  for (size_t i = 0; i < length; i++)
    if ((unsigned char)text[i] < ' ') text[i] = ' '; /* the line feed at its end, before it is quoted */
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

/* Where the next element of a file in Fortran order goes. */
typedef struct Place {
  long at, index[RANK_MAX], stride[RANK_MAX];
} Place;

static Place first_place(const Header *h) {
  Place p = {0};
  long stride = 1;
  for (int d = h->rank - 1; d >= 0; d--) {
    p.stride[d] = stride;
    stride *= h->shape[d];
  }
  return p;
}

/* The next elements in column-major order to their places in row-major order. */
static void scatter(const Header *h, Place *p, const char *from, char *to, long count) {
  size_t bytes = dtype_bytes[h->dtype];
  for (long i = 0; i < count; i++, from += bytes) {
    memcpy(to + (size_t)p->at * bytes, from, bytes);
    for (int d = 0; d < h->rank; d++) {
      p->at += p->stride[d];
      if (++p->index[d] < h->shape[d]) break;
      p->at -= p->stride[d] * h->shape[d];
      p->index[d] = 0;
    }
  }
}

/* Piece by piece, so that nothing but the tensor is large, whatever is to be done to the bytes. */
static int take_data(Stream *s, const Header *h, char *to) {
  size_t wide = dtype_bytes[h->dtype], bytes = (size_t)h->bytes;
  int same = bytes == wide && h->kind != 'b', columns = h->fortran && h->rank > 1;
  if (h->count == 0 || (same && h->order == '<' && !columns)) return s->take(s, to, (size_t)h->count * bytes);
  uint64_t raw[CHUNK / 8], widened[CHUNK / 8];
  Place place = first_place(h);
  long room = (long)(CHUNK / (wide > bytes ? wide : bytes));
  for (long done = 0, n; done < h->count; done += n) {
    n = room < h->count - done ? room : h->count - done;
    if (!s->take(s, raw, (size_t)n * bytes)) return 0;
    if (h->order == '>') swap_bytes((unsigned char *)raw, n, h->bytes);
    if (!same) widen(h, raw, widened, n);
    const void *from = same ? raw : widened;
    if (columns)
      scatter(h, &place, from, to, n);
    else
      memcpy(to + (size_t)done * wide, from, (size_t)n * wide);
  }
  return 1;
}

Tensor *npy_parse(Stream *s) {
  Header h = {0};
  if (!parse_header(s, &h)) return NULL;
  if ((size_t)h.count != s->left / (size_t)h.bytes || s->left % (size_t)h.bytes) {
    fail("%s: expected %s elements of %d bytes, found %zu bytes of data", s->name,
         shape_text(h.rank, h.shape), h.bytes, s->left);
    return NULL;
  }
  if ((size_t)h.count > s->room / dtype_bytes[h.dtype]) {
    fail("%s: expected at most %zu bytes in memory, found %s %s", s->name, s->room,
         shape_text(h.rank, h.shape), dtype_name[h.dtype]);
    return NULL;
  }
  Tensor *t = tensor_new(h.dtype, h.rank, h.shape);
  if (!t || take_data(s, &h, tensor_write(t))) return t;
  tensor_release(t);
  return NULL;
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
  FileStream f = {.stream = {take_from_file, path, 0, SIZE_MAX}};
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
