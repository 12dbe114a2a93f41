/* The names that a pickle of weights may hold, and what those of dtypes and storages mean: see pth.h. */
#include "io/pth.h"

#include "core/error.h"

#include <string.h>

static const PthKind kinds[] = {
    {"torch.FloatStorage", "torch.float32", 4, F32, PTH_COPIED},
    {"torch.DoubleStorage", "torch.float64", 8, F64, PTH_COPIED},
    {"torch.HalfStorage", "torch.float16", 2, F16, PTH_COPIED},
    {"torch.BFloat16Storage", "torch.bfloat16", 2, BF16, PTH_COPIED},
    {"torch.LongStorage", "torch.int64", 8, I64, PTH_COPIED},
    {"torch.IntStorage", "torch.int32", 4, I32, PTH_COPIED},
    {"torch.ShortStorage", "torch.int16", 2, I32, PTH_SIGNED},
    {"torch.CharStorage", "torch.int8", 1, I32, PTH_SIGNED},
    {"torch.ByteStorage", "torch.uint8", 1, U8, PTH_COPIED},
    {"torch.BoolStorage", "torch.bool", 1, U8, PTH_TRUTH},
    {"", "torch.uint16", 2, I32, PTH_UNSIGNED},
    {"", "torch.uint32", 4, I64, PTH_UNSIGNED},
};
static const char untyped[] = "torch.storage.UntypedStorage";

const char *const pth_allowed[] = {
    "collections.OrderedDict", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v3", "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state", "torch._tensor._rebuild_from_type_v2",
    "torch.nn.parameter.Parameter", "torch.Tensor", untyped, "torch.storage.TypedStorage",
    "torch.FloatStorage", "torch.DoubleStorage", "torch.HalfStorage", "torch.BFloat16Storage",
    "torch.LongStorage", "torch.IntStorage", "torch.ShortStorage", "torch.CharStorage", "torch.ByteStorage",
    "torch.BoolStorage", "torch.float32", "torch.float64", "torch.float16", "torch.bfloat16", "torch.int64",
    "torch.int32", "torch.int16", "torch.int8", "torch.uint8", "torch.uint16", "torch.uint32", "torch.bool",
    /* harmless, but no tensors */
    "collections.Counter", "torch.Size", "torch.device", "torch.serialization._get_layout", "_codecs.encode",
    "builtins.bytearray", "builtins.set", "builtins.complex",
    /* tensors that are refused when one is met */
    "torch._utils._rebuild_qtensor", "torch._utils._rebuild_sparse_tensor",
    "torch._utils._rebuild_meta_tensor_no_storage", "torch._utils._rebuild_wrapper_subclass",
    "torch._utils._rebuild_device_tensor_from_numpy", "torch._utils._rebuild_device_tensor_from_cpu_tensor",
    "torch.ComplexFloatStorage", "torch.ComplexDoubleStorage", "torch.QInt8Storage", "torch.QUInt8Storage",
    "torch.QInt32Storage", "torch.QUInt4x2Storage", "torch.QUInt2x4Storage", "torch.complex32",
    "torch.complex64", "torch.complex128", "torch.uint64", "torch.qint8", "torch.quint8", "torch.qint32",
    "torch.quint4x2", "torch.quint2x4", "torch.float8_e4m3fn", "torch.float8_e5m2", "torch.float8_e4m3fnuz",
    "torch.float8_e5m2fnuz", "torch.float8_e8m0fnu", "torch.per_tensor_affine", "torch.per_tensor_symmetric",
    "torch.per_channel_affine", "torch.per_channel_symmetric", "torch.per_channel_affine_float_qparams",
    NULL};

int pth_is(const PickleValue *v, const char *name) {
  return v->kind == PICKLE_GLOBAL && strcmp(pth_allowed[v->as.number], name) == 0;
}

const char *pth_name(const PickleValue *v) {
  return v->kind == PICKLE_GLOBAL ? pth_allowed[v->as.number] : "something else";
}

const PthKind *pth_kind(const PickleValue *v, int by_dtype) {
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (strcmp(by_dtype ? kinds[i].dtype : kinds[i].storage, pth_name(v)) == 0) return &kinds[i];
  return NULL;
}

/* ---- references ---- */

static int whole(const PickleValue *v) { return v->kind == PICKLE_INT && v->as.number >= 0; }

/* (key, first element, elements) of a part of a storage: only the form before 1.6 has them. */
static int read_part(const char *who, const Pickle *p, const PickleValue *v, PthReference *r) {
  const PickleValue *first = NULL, *count = NULL;
  if (v->kind == PICKLE_NONE) return 1;
  if (v->kind == PICKLE_TUPLE && v->count == 3) {
    first = &p->values[v->as.items[1]];
    count = &p->values[v->as.items[2]];
  }
  size_t begin, size;
  if (!first || !whole(first) || !whole(count) ||
      __builtin_mul_overflow((size_t)first->as.number, r->element, &begin) ||
      __builtin_mul_overflow((size_t)count->as.number, r->element, &size) || begin > r->bytes ||
      size > r->bytes - begin)
    return fail("%s: expected a part of its storage, found another", who);
  r->begin = begin;
  r->end = begin + size;
  return 1;
}

/* ("storage", type, key, location, elements), then the part of it that is meant, or none. */
int pth_reference(const char *who, const Pickle *p, const PickleValue *v, PthReference *r) {
  const PickleValue *id = v->kind == PICKLE_PERSISTENT ? &p->values[v->as.pair[1]] : v, *item[6] = {0};
  *r = (PthReference){0};
  for (uint32_t i = 0; id->kind == PICKLE_TUPLE && i < id->count && i < 6; i++)
    item[i] = &p->values[id->as.items[i]];
  if (id == v || !item[4] || id->count > 6 || item[0]->kind != PICKLE_TEXT || item[0]->count != 7 ||
      memcmp(item[0]->as.text, "storage", 7) != 0 || item[2]->kind != PICKLE_TEXT ||
      item[4]->kind != PICKLE_INT)
    return fail("%s: expected a storage as torch.save writes it, found another reference", who);
  r->kind = pth_kind(item[1], 0);
  if (!r->kind && !pth_is(item[1], untyped))
    return fail("%s: expected " PTH_DTYPES ", found %s", who, pth_name(item[1]));
  r->element = r->kind ? r->kind->bytes : 1;
  if (!whole(item[4]) || __builtin_mul_overflow((size_t)item[4]->as.number, r->element, &r->bytes) ||
      r->bytes > PTRDIFF_MAX)
    return fail("%s: expected a storage that memory can hold, found another size", who);
  r->key = item[2]->as.text;
  r->key_size = item[2]->count;
  r->end = r->bytes;
  return !item[5] || read_part(who, p, item[5], r);
}
