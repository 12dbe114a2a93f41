/* From a pickle's tree to the list of its tensors (torch/_utils.py names the calls that rebuild them). The
 * tree is hostile until checked: it may be cyclic, shared a million times, and lie about every size. Sparse,
 * quantised and complex tensors are refused by name. */
#include "io/pth.h"

#include "core/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  DEPTH_MAX = 32,
  VISITS_MAX = 1 << 20,
  TENSORS_MAX = 1 << 17,
  NAME_BYTES = 1000,
  OVERHEAD = 768 /* of a tensor, besides */
};

/* ---- the tree ---- */

typedef struct Walk {
  const char *path;
  const Pickle *pickle;
  PthTensors *out;
  long visits;
  size_t name_size;
  char name[NAME_BYTES + 1];
} Walk;

static const PickleValue *item(const Walk *w, const PickleValue *v, uint32_t i) {
  return &w->pickle->values[v->as.items[i]];
}

static int same_text(const PickleValue *v, const char *text) {
  return v->kind == PICKLE_TEXT && v->count == strlen(text) && memcmp(v->as.text, text, v->count) == 0;
}

/* The tensor's name as a message may show it. */
static const char *shown(const Walk *w, char room[256]) {
  return pickle_text(room, 256, w->name, w->name_size);
}

static int refuse(const Walk *w, const char *expected, const char *found) {
  char name[256];
  return fail("%s: %s: expected %s, found %s", w->path, shown(w, name), expected, found);
}

/* ---- one tensor ---- */

/* A call's callee and arguments, looking through what only wraps a tensor. 0 when there is no end to it. */
static int unwrap(const Walk *w, const PickleValue **call, const PickleValue **callee,
                  const PickleValue **arguments) {
  const PickleValue *v = *call;
  for (int depth = 0; depth < DEPTH_MAX && v->kind == PICKLE_CALL; depth++) {
    const PickleValue *f = &w->pickle->values[v->as.pair[0]], *a = &w->pickle->values[v->as.pair[1]];
    if (pth_is(f, "torch._tensor._rebuild_from_type_v2") && a->count == 4 &&
        item(w, a, 2)->kind == PICKLE_TUPLE) {
      f = item(w, a, 0);
      a = item(w, a, 2);
    }
    int wraps = pth_is(f, "torch._utils._rebuild_parameter") || pth_is(f, "torch.nn.parameter.Parameter") ||
                pth_is(f, "torch._utils._rebuild_parameter_with_state");
    if (!wraps || a->count == 0) {
      *callee = f;
      *arguments = a;
      return 1;
    }
    v = item(w, a, 0);
  }
  return 0;
}

/* The storage of a tensor; dtype where the tensor has one of its own, else NULL. */
static int read_storage(const Walk *w, const PickleValue *v, const PickleValue *dtype, PthTensor *t) {
  char name[256], who[600];
  snprintf(who, sizeof who, "%.300s: %s", w->path, shown(w, name));
  if (!pth_reference(who, w->pickle, v, &t->storage)) return 0;
  if (dtype) t->storage.kind = pth_kind(dtype, 1);
  if (!t->storage.kind)
    return fail("%s: expected " PTH_DTYPES ", found %s", who, dtype ? pth_name(dtype) : "bytes");
  return t->storage.begin % t->storage.kind->bytes == 0 ||
         fail("%s: expected a part of its storage that begins with an element, found another", who);
}

static int read_longs(Walk *w, const PickleValue *v, long *list, int *count) {
  if (v->kind != PICKLE_TUPLE && v->kind != PICKLE_LIST)
    return refuse(w, "sizes and strides", "something else");
  if (v->count > RANK_MAX) return refuse(w, "at most 8 dimensions", "more");
  for (uint32_t d = 0; d < v->count; d++) {
    const PickleValue *n = item(w, v, d);
    if (n->kind != PICKLE_INT || n->as.number < 0) return refuse(w, "sizes and strides", "something else");
    list[d] = n->as.number;
  }
  *count = (int)v->count;
  return 1;
}

/* Every element lies within its part of the storage; the offset becomes one from the storage's start. */
static int check_extent(const Walk *w, PthTensor *t) {
  long bytes = (long)t->storage.kind->bytes, step, total = 1, last;
  int overflow = 0;
  for (int d = 0; d < t->rank; d++) overflow |= __builtin_mul_overflow(total, t->shape[d], &total);
  if (overflow) return refuse(w, "a shape that memory can hold", shape_text(t->rank, t->shape));
  t->size = total;
  overflow = __builtin_add_overflow(t->offset, (long)t->storage.begin / bytes, &t->offset);
  last = t->offset;
  if (total == 0) return 1;
  for (int d = 0; d < t->rank; d++)
    overflow |= __builtin_mul_overflow(t->shape[d] - 1, t->stride[d], &step) ||
                __builtin_add_overflow(last, step, &last);
  if (overflow || last >= (long)t->storage.end / bytes)
    return refuse(w, "elements within its storage", "some beyond its end");
  return 1;
}

int pth_spend(const char *path, PthTensors *tensors, size_t bytes) {
  if (bytes > tensors->budget)
    return fail("%s: expected tensors of about the size of the file, found more", path);
  tensors->budget -= bytes;
  return 1;
}

static int add_tensor(Walk *w, PthTensor *t) {
  PthTensors *out = w->out;
  if (out->count == TENSORS_MAX)
    return fail("%s: expected at most %d tensors, found more", w->path, TENSORS_MAX);
  if (out->count == out->room) {
    long room = out->room ? 2 * out->room : 64;
    PthTensor *more = realloc(out->list, (size_t)room * sizeof *more);
    if (!more) return fail("%s: expected memory for its list of tensors, found none left", w->path);
    out->list = more;
    out->room = room;
  }
  if (memchr(w->name, 0, w->name_size)) return refuse(w, "a name without zero bytes", "one");
  if (!pth_spend(w->path, out, w->name_size + OVERHEAD)) return 0;
  t->name = w->name_size ? strndup(w->name, w->name_size) : strdup("tensor"); /* a file of one tensor */
  if (!t->name) return fail("%s: expected memory for its names, found none left", w->path);
  out->list[out->count++] = *t;
  return 1;
}

/* _rebuild_tensor(storage, offset, size, stride), _v2(…, requires_grad, hooks, metadata?), _v3(…, dtype,
 * metadata?); calls of other names are no tensors, or tensors of kinds that are refused. */
static int read_call(Walk *w, const PickleValue *call) {
  const PickleValue *f, *a;
  PthTensor t = {0};
  if (!unwrap(w, &call, &f, &a)) return refuse(w, "a tensor", "a parameter without one");
  int v3 = pth_is(f, "torch._utils._rebuild_tensor_v3");
  if (v3 || pth_is(f, "torch._utils._rebuild_tensor_v2") || pth_is(f, "torch._utils._rebuild_tensor")) {
    uint32_t metadata = v3 ? 7 : 6;
    int strides;
    if (a->count < (v3 ? 7 : 4) || item(w, a, 1)->kind != PICKLE_INT || item(w, a, 1)->as.number < 0)
      return refuse(w, "a tensor as torch.save writes it", "other arguments");
    t.offset = item(w, a, 1)->as.number;
    if (!read_storage(w, item(w, a, 0), v3 ? item(w, a, 6) : NULL, &t) ||
        !read_longs(w, item(w, a, 2), t.shape, &t.rank) || !read_longs(w, item(w, a, 3), t.stride, &strides))
      return 0;
    if (strides != t.rank) return refuse(w, "as many strides as sizes", "another number");
    if (a->count > metadata && item(w, a, metadata)->kind == PICKLE_DICT && item(w, a, metadata)->count)
      return refuse(w, "plain numbers", "a conjugated or negated view");
    return check_extent(w, &t) && add_tensor(w, &t);
  }
  if (strstr(pth_name(f), "_rebuild") || pth_is(f, "torch.Tensor"))
    return refuse(w, "a dense tensor", pth_name(f));
  return 1;
}

/* ---- the walk ---- */

/* ".key" behind the name; 0 for keys that no name can hold, -1 for those that are too long */
static int extend_name(Walk *w, const PickleValue *key) {
  char number[24];
  const char *text = key->as.text;
  size_t size = key->count, dot = w->name_size > 0;
  if (key->kind == PICKLE_INT) {
    text = number;
    size = (size_t)snprintf(number, sizeof number, "%ld", (long)key->as.number);
  } else if (key->kind != PICKLE_TEXT) {
    return 0;
  }
  if (size + dot > NAME_BYTES - w->name_size) return -1;
  if (dot) w->name[w->name_size++] = '.';
  memcpy(w->name + w->name_size, text, size);
  w->name_size += size;
  return 1;
}

static int walk(Walk *w, const PickleValue *v, int depth) {
  if (++w->visits > VISITS_MAX)
    return fail("%s: expected weights of at most %d values, found more", w->path, VISITS_MAX);
  if (v->kind == PICKLE_CALL) return read_call(w, v);
  uint32_t pair = v->kind == PICKLE_DICT ? 2 : 1;
  if (pair == 1 && v->kind != PICKLE_LIST && v->kind != PICKLE_TUPLE) return 1;
  if (depth == DEPTH_MAX)
    return fail("%s: expected weights nested at most %d deep, found deeper ones", w->path, DEPTH_MAX);
  size_t name_size = w->name_size;
  for (uint32_t i = 0; i + pair <= v->count; i += pair) {
    const PickleValue place = {.kind = PICKLE_INT, .as.number = i};
    int named = extend_name(w, pair == 2 ? item(w, v, i) : &place);
    if (named < 0) return refuse(w, "names of at most 1000 bytes", "a longer one");
    if (named && !walk(w, item(w, v, i + pair - 1), depth + 1)) return 0;
    w->name_size = name_size;
  }
  return 1;
}

/* Where the weights are in a checkpoint: the dict under the first of these keys, in turn, until a dict has
 * none. */
static const PickleValue *find_weights(const Walk *w, const PickleValue *v) {
  static const char *const keys[] = {
      "state_dict", "model_state_dict", "model_state", "model",          "network",  "net",
      "weights",    "params",           "params_ema",  "state_dict_ema", "model_ema"};
  for (int depth = 0; depth < DEPTH_MAX && v->kind == PICKLE_DICT; depth++) {
    const PickleValue *inner = NULL;
    for (size_t k = 0; !inner && k < sizeof keys / sizeof *keys; k++)
      for (uint32_t i = 0; i + 2 <= v->count; i += 2)
        if (same_text(item(w, v, i), keys[k]) && item(w, v, i + 1)->kind == PICKLE_DICT)
          inner = item(w, v, i + 1);
    if (!inner) break;
    v = inner;
  }
  return v;
}

int pth_tensors(const char *path, size_t bytes, const Pickle *pickle, PthTensors *out) {
  Walk w = {.path = path, .pickle = pickle, .out = out};
  *out = (PthTensors){.budget = pth_budget(bytes)};
  int ok = walk(&w, find_weights(&w, &pickle->values[pickle->root]), 0);
  if (ok && out->count == 0) ok = fail("%s: expected tensors, found none", path);
  if (!ok) pth_tensors_free(out);
  return ok;
}

void pth_tensors_free(PthTensors *t) {
  for (long i = 0; i < t->count; i++) free(t->list[i].name);
  free(t->list);
  *t = (PthTensors){0};
}
