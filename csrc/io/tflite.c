/* Reading .tflite files: see tflite.h. Field numbers are those of TensorFlow Lite's schema, version 3. */
#include "io/tflite.h"

#include "core/error.h"
#include "io/flatbuffer.h"
#include "io/kind.h"
#include "io/pickle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODEL_OPCODES = 1, MODEL_SUBGRAPHS = 2, MODEL_BUFFERS = 4 };
enum { OPCODE_OLD = 0, OPCODE_CUSTOM = 1, OPCODE_NUMBER = 3, CUSTOM = 32 };
enum { GRAPH_TENSORS, GRAPH_INPUTS, GRAPH_OUTPUTS, GRAPH_OPERATORS };
enum { TENSOR_SHAPE, TENSOR_TYPE, TENSOR_BUFFER, TENSOR_NAME, TENSOR_SPARSITY = 6 };
enum { OPERATOR_CODE, OPERATOR_INPUTS, OPERATOR_OUTPUTS, OPERATOR_OPTIONS = 4 };
enum { BUFFER_DATA, BUFFER_OFFSET, BUFFER_SIZE };
enum { NUMBERS_MAX = 1 << 20, HEADER = 512 /* what a constant takes besides its numbers */ };

typedef struct Reader {
  Flat flat;
  Tflite *out;
  FlatVector opcodes, buffers;
} Reader;

/* What a type's numbers take in the file, and become: those of fewer bytes are widened. */
static const struct {
  const char *name;
  int bytes; /* 0: not read */
  Dtype to;
} types[] = {{"FLOAT32", 4, F32},  {"FLOAT16", 2, F16}, {"INT32", 4, I32},    {"UINT8", 1, U8},
             {"INT64", 8, I64},    {"STRING", 0, U8},   {"BOOL", 1, U8},      {"INT16", 2, I32},
             {"COMPLEX64", 0, U8}, {"INT8", 1, I32},    {"FLOAT64", 8, F64},  {"COMPLEX128", 0, U8},
             {"UINT64", 0, U8},    {"RESOURCE", 0, U8}, {"VARIANT", 0, U8},   {"UINT32", 0, U8},
             {"UINT16", 0, U8},    {"INT4", 0, U8},     {"BFLOAT16", 2, BF16}};

enum { TYPES = sizeof types / sizeof *types };

/* Room for `count` things, zeroed. */
static void *room(Reader *r, size_t count, size_t each) {
  if (r->flat.failed || !flat_spend(&r->flat, count * each)) return NULL;
  void *list = calloc(count + 1, each);
  if (!list) {
    fail("%s: expected memory for its graph, found none left", r->flat.name);
    r->flat.failed = true;
  }
  return list;
}

/* A field of places in the list of tensors. */
static int read_list(Reader *r, const FlatTable *t, int field, bool may_lack, TfliteList *out) {
  FlatVector v = flat_vector(&r->flat, t, field, 4);
  if (!(out->items = room(r, v.count, sizeof *out->items))) return 0;
  for (size_t i = 0; i < v.count; i++) {
    int place = out->items[i] = flat_int_at(&r->flat, &v, i);
    if (place < (may_lack ? -1 : 0) || place >= r->out->tensors_count)
      return flat_refuse(&r->flat, "operators of the tensors that it lists", "one of another");
  }
  out->count = (int)v.count;
  return 1;
}

/* ---- tensors ---- */

static const char *shown(const TfliteTensor *t, char text[200]) {
  return pickle_text(text, 200, t->name, t->name_size);
}

static int refuse_tensor(Reader *r, const TfliteTensor *t, const char *expected, const char *found) {
  char name[200], wanted[400];
  snprintf(wanted, sizeof wanted, "%s in tensor %s", expected, shown(t, name));
  return flat_refuse(&r->flat, wanted, found);
}

/* The numbers of a constant, from bytes within the file. */
static int read_numbers(Reader *r, TfliteTensor *t, int type, const unsigned char *data) {
  t->constant = tensor_new(types[type].to, t->rank, t->shape);
  void *to = t->constant ? tensor_write(t->constant) : NULL;
  if (!to) return r->flat.failed = true, 0;
  size_t bytes = (size_t)types[type].bytes;
  if (bytes == dtype_bytes[types[type].to]) {
    memcpy(to, data, tensor_bytes(t->constant));
    return 1;
  }
  for (long i = 0; i < t->constant->size; i++) {
    int16_t wide;
    memcpy(&wide, data + (size_t)i * bytes, bytes == 2 ? 2 : 1);
    ((int32_t *)to)[i] = bytes == 2 ? wide : (int8_t)data[i];
  }
  return 1;
}

/* A tensor's constant, if its buffer holds one: within the file's tables, or behind them. */
static int read_constant(Reader *r, const FlatTable *from, TfliteTensor *t, int type, size_t size) {
  Flat *f = &r->flat;
  int64_t place = flat_number(f, from, TENSOR_BUFFER, 4, 0);
  if (place < 0 || (size_t)place >= r->buffers.count) {
    if (place == 0) return 1;
    return refuse_tensor(r, t, "a buffer of the file", "another");
  }
  FlatTable buffer = flat_table_at(f, &r->buffers, (size_t)place);
  FlatVector data = flat_vector(f, &buffer, BUFFER_DATA, 1);
  int64_t offset = flat_number(f, &buffer, BUFFER_OFFSET, 8, 0),
          bytes = flat_number(f, &buffer, BUFFER_SIZE, 8, 0);
  if (data.count == 0 && offset > 1) {
    if (bytes < 0 || (size_t)offset > f->size || (size_t)bytes > f->size - (size_t)offset)
      return refuse_tensor(r, t, "numbers within the file", "some beyond its end (truncated?)");
    data = (FlatVector){(size_t)offset, (size_t)bytes};
  }
  if (f->failed || data.count == 0) return !f->failed;
  if (types[type].bytes == 0)
    return refuse_tensor(r, t, "numbers of float or integer types", types[type].name);
  if (flat_table(f, from, TENSOR_SPARSITY).at) return refuse_tensor(r, t, "dense numbers", "sparse ones");
  if (data.count != size * (size_t)types[type].bytes) {
    char found[100];
    snprintf(found, sizeof found, "%zu bytes for %zu of %s", data.count, size, types[type].name);
    return refuse_tensor(r, t, "as many numbers as its shape says", found);
  }
  return flat_spend(f, HEADER + size * dtype_bytes[types[type].to]) &&
         read_numbers(r, t, type, f->data + data.at);
}

static int read_tensor(Reader *r, const FlatTable *from, TfliteTensor *t) {
  Flat *f = &r->flat;
  FlatVector name = flat_vector(f, from, TENSOR_NAME, 1), shape = flat_vector(f, from, TENSOR_SHAPE, 4);
  if (f->failed || !flat_spend(f, name.count)) return 0;
  t->name = name.at ? (const char *)f->data + name.at : "";
  t->name_size = name.count;
  int64_t type = flat_number(f, from, TENSOR_TYPE, 1, 0);
  if (type < 0 || type >= TYPES) return refuse_tensor(r, t, "a known type", "another");
  t->type = types[type].name;
  if (shape.count > RANK_MAX) return refuse_tensor(r, t, "at most 8 dimensions", "more");
  t->rank = (int)shape.count;
  size_t size = 1;
  for (int d = 0; d < t->rank; d++) {
    long n = t->shape[d] = flat_int_at(f, &shape, (size_t)d);
    if (n < 0 || __builtin_mul_overflow(size, (size_t)n, &size) || size > (size_t)1 << 40)
      return refuse_tensor(r, t, "a shape that memory can hold", shape_text(t->rank, t->shape));
  }
  return read_constant(r, from, t, (int)type, size);
}

/* ---- operators ---- */

/* The options of an operator, as the table of names tells. */
static void read_options(Reader *r, const FlatTable *from, TfliteOperator *o) {
  FlatTable options = flat_table(&r->flat, from, OPERATOR_OPTIONS);
  int field = 0;
  for (const char *at = tflite_operator_options(o->name); *at; field++) {
    const char *colon = strchr(at, ':'), *end = at + strcspn(at, " ");
    double otherwise = colon[2] == '=' ? atof(colon + 3) : 0;
    if (colon[1] != '-') {
      TfliteOption *option = &o->options[o->options_count++];
      option->name = at; /* up to the colon */
      option->value = colon[1] == 'f' ? flat_real(&r->flat, &options, field, otherwise)
                                      : (double)flat_number(&r->flat, &options, field,
                                                            colon[1] == 'i' ? 4 : 1, (int64_t)otherwise);
    }
    at = *end ? end + 1 : end;
  }
}

static int read_operator(Reader *r, const FlatTable *from, TfliteOperator *o) {
  Flat *f = &r->flat;
  int64_t place = flat_number(f, from, OPERATOR_CODE, 4, 0);
  if (f->failed) return 0;
  if (place < 0 || (size_t)place >= r->opcodes.count)
    return flat_refuse(f, "operators of the kinds that it lists", "one of another");
  FlatTable code = flat_table_at(f, &r->opcodes, (size_t)place);
  int64_t old = flat_number(f, &code, OPCODE_OLD, 1, 0), number = flat_number(f, &code, OPCODE_NUMBER, 4, 0);
  number = old > number ? old : number;
  if (f->failed) return 0;
  if (!(o->name = tflite_operator_name(number))) {
    char found[40];
    snprintf(found, sizeof found, "number %lld", (long long)number);
    return flat_refuse(f, "a known operator", found);
  }
  o->name_size = strlen(o->name);
  o->custom = number == CUSTOM;
  if (o->custom) {
    FlatVector word = flat_vector(f, &code, OPCODE_CUSTOM, 1);
    if (f->failed || !flat_spend(f, word.count)) return 0;
    if (word.at) o->name = (const char *)f->data + word.at, o->name_size = word.count;
  } else {
    read_options(r, from, o);
  }
  return read_list(r, from, OPERATOR_INPUTS, true, &o->inputs) &&
         read_list(r, from, OPERATOR_OUTPUTS, false, &o->outputs);
}

/* ---- the whole ---- */

static int read_graph(Reader *r) {
  Flat *f = &r->flat;
  Tflite *out = r->out;
  FlatTable model = flat_root(f);
  FlatVector graphs = flat_vector(f, &model, MODEL_SUBGRAPHS, 4);
  r->opcodes = flat_vector(f, &model, MODEL_OPCODES, 4);
  r->buffers = flat_vector(f, &model, MODEL_BUFFERS, 4);
  if (!f->failed && graphs.count != 1) flat_refuse(f, "one graph", graphs.count ? "several" : "none");
  FlatTable graph = f->failed ? (FlatTable){0} : flat_table_at(f, &graphs, 0);
  FlatVector tensors = flat_vector(f, &graph, GRAPH_TENSORS, 4),
             operators = flat_vector(f, &graph, GRAPH_OPERATORS, 4);
  if (tensors.count > NUMBERS_MAX || operators.count > NUMBERS_MAX)
    return flat_refuse(f, "at most 2^20 tensors and operators", "more");
  if (!(out->tensors = room(r, tensors.count, sizeof *out->tensors))) return 0;
  for (size_t i = 0; i < tensors.count; i++) {
    FlatTable t = flat_table_at(f, &tensors, i);
    out->tensors_count++;
    if (!read_tensor(r, &t, &out->tensors[i])) return 0;
  }
  if (!(out->operators = room(r, operators.count, sizeof *out->operators))) return 0;
  for (size_t i = 0; i < operators.count; i++) {
    FlatTable o = flat_table_at(f, &operators, i);
    out->operators_count++;
    if (!read_operator(r, &o, &out->operators[i])) return 0;
  }
  return read_list(r, &graph, GRAPH_INPUTS, false, &out->inputs) &&
         read_list(r, &graph, GRAPH_OUTPUTS, false, &out->outputs) && !f->failed;
}

int tflite_read(const char *path, Tflite *out) {
  *out = (Tflite){0};
  if (!file_read(path, (size_t)1 << 31, &out->file)) return 0;
  const Bytes *b = &out->file;
  Reader r = {
      .out = out,
      .flat = {.name = path, .data = b->data, .size = b->size, .budget = ((size_t)1 << 16) + 16 * b->size}};
  int ok = b->size >= 8 && memcmp(b->data + 4, "TFL3", 4) == 0
               ? read_graph(&r)
               : fail_kind_of(path, b->data, b->size, "a TensorFlow Lite model");
  if (!ok) tflite_free(out);
  return ok;
}

void tflite_free(Tflite *t) {
  for (int i = 0; i < t->tensors_count; i++) tensor_release(t->tensors[i].constant);
  for (int i = 0; i < t->operators_count; i++) {
    free(t->operators[i].inputs.items);
    free(t->operators[i].outputs.items);
  }
  free(t->tensors);
  free(t->operators);
  free(t->inputs.items);
  free(t->outputs.items);
  bytes_free(&t->file);
  *t = (Tflite){0};
}
