/* TensorFlow Lite's models (.tflite): the graph of operators of a file, checked, as a list in the order in
 * which they are computed. What an operator means is not known here, but for the names of its options.
 *
 *   Tflite ── tensors[]   { name, shape, dtype, constant or none }
 *          ├─ operators[] { name, inputs, outputs (places in tensors[], -1: none), options by name }
 *          └─ inputs, outputs of the whole
 *
 * Constants are float16, float32, float64, int32, int64, uint8, int8, int16 or bool; quantised and sparse ones
 * are what they are in the file: the numbers alone. Texts lie in `file`, not terminated. */
#ifndef IO_TFLITE_H
#define IO_TFLITE_H

#include "core/tensor.h"
#include "io/file.h"

typedef struct TfliteList {
  int *items;
  int count;
} TfliteList;

typedef struct TfliteTensor {
  const char *name;
  size_t name_size;
  const char *type; /* "FLOAT16" */
  int rank;
  long shape[RANK_MAX];
  Tensor *constant; /* NULL: computed, or given */
} TfliteTensor;

enum { TFLITE_OPTIONS = 8 };

typedef struct TfliteOption {
  const char *name;
  double value;
} TfliteOption;

typedef struct TfliteOperator {
  const char *name; /* "CONV_2D"; of custom ones the file's own word for it */
  size_t name_size;
  bool custom;
  TfliteList inputs, outputs;
  TfliteOption options[TFLITE_OPTIONS];
  int options_count;
} TfliteOperator;

typedef struct Tflite {
  Bytes file;
  TfliteTensor *tensors;
  TfliteOperator *operators;
  int tensors_count, operators_count;
  TfliteList inputs, outputs;
} Tflite;

/* 0 with a message, and nothing to free, for what is no such file, damaged, or uses what is not known here. */
int tflite_read(const char *path, Tflite *out);
void tflite_free(Tflite *t);

/* An operator's name by its number, NULL where there is none; and its options: NAME:KIND, then =DEFAULT where it
 * is not 0, in the order of the fields; kinds: b (a byte), i (int32), f (float32), - (not used any more). */
const char *tflite_operator_name(int64_t number);
const char *tflite_operator_options(const char *name);

#endif
