/* Arrays in files: .npy, .npz, .flo, safetensors, .pth, and the cache's own packs. Readers check every claim
 * of a header against the file before they take memory. All of them return NULL or 0 with a message naming
 * the file. */
#ifndef IO_ARRAY_H
#define IO_ARRAY_H

#include "core/tensor.h"
#include "io/file.h"

/* A list of named tensors and of text pairs (safetensors' metadata). */
typedef struct Named {
  char *name;
  Tensor *tensor;
} Named;
typedef struct Note {
  char *key, *value;
} Note;
typedef struct Bundle {
  Named *items;
  long count;
  Note *notes;
  long notes_count;
} Bundle;

/* Appends; takes over the tensor in any case, copies the texts. */
int bundle_add(Bundle *b, const char *name, size_t length, Tensor *t);
int bundle_note(Bundle *b, const char *key, const char *value);
void bundle_free(Bundle *b);

/* ---- NumPy (format versions 1 to 3) ----
 * Reads float16/32/64, uint8, bool (→ uint8), int32/64; widens int8, int16, uint16 (→ int32) and uint32 (→
 * int64); both byte orders, C and Fortran order. Refuses by name what no dtype here can hold. */
Tensor *npy_read(const char *path);
/* Format 1.0, C order. Refuses bfloat16, which NumPy does not have. */
int npy_write(const char *path, const Tensor *t);

/* The arrays of a zip file, by name without ".npy"; other entries are passed over. Stored or deflated, zip64.
 * Bounded by zip_room: 64 MiB and 64 times the file's bytes, for entries as for the arrays of them. */
int npz_read(const char *path, Bundle *out);
/* level: 0 stored, 1..9 deflate; weaker where npz_read would not take what deflate can do. */
int npz_write(const char *path, const Bundle *in, int level);
/* The same to an open sink, which is closed afterwards. */
int npz_write_sink(Sink *to, const Bundle *in, int level);
/* A digest of the names, sizes and checksums of all arrays, and so of what they hold, however it is packed:
 * 32 hexadecimal digits, terminated. Reads the file's directory alone: damage elsewhere is npz_read's to
 * find. */
int npz_digest(const char *path, char out[33]);

/* A source of bytes for npy_parse: fills `to` wholly or fails. `left` counts down. */
typedef struct Stream {
  int (*take)(struct Stream *s, void *to, size_t size);
  const char *name; /* for messages */
  size_t left;
  size_t room; /* what the array may take in memory */
} Stream;
Tensor *npy_parse(Stream *s);
/* The header that npy_write puts before the data. */
int npy_header(const Tensor *t, Bytes *out);

/* ---- flow fields: float32 H×W×2, (u, v) in pixels ---- */
Tensor *flo_read(const char *path);
int flo_write(const char *path, const Tensor *flow);
/* KITTI's 16-bit PNG: u = (R − 2^15)/64, v = (G − 2^15)/64. *valid (H×W uint8, 0 or 1; may be asked for by a
 * non-NULL pointer) is B ≠ 0; flow is 0 where invalid. */
Tensor *flow_png_read(const char *path, Tensor **valid);

/* ---- safetensors ----
 * Refuses headers above 100 MB, unknown dtypes, duplicate names, and offsets that overlap, leave holes or
 * disagree with the shapes. */
int safetensors_read(const char *path, Bundle *out);
/* Largest elements first, then by name, so that every tensor is aligned; metadata by key: equal content gives
 * equal bytes. */
int safetensors_write(const char *path, const Bundle *in);

/* ---- PyTorch (.pth, .pt: torch.save's zip form since 1.6, and the one before, since 0.1.10) ----
 * The tensors of a state dict by name, dicts within dicts joined with dots, found under "state_dict", "model"
 * and the like in a larger checkpoint; what is no tensor is passed over. int8 and int16 become int32, bool
 * becomes uint8. The pickle inside is read as data: a name that torch.load(weights_only=True) would not know
 * refuses the file. */
int pth_read(const char *path, Bundle *out);

/* ---- packs: one tensor of the cache, with a checksum ----
 * uint8 deflated; flow64: float32 as int16 in 1/64 (saturating at ±511.98), deflated too. `key` is stored too; a pack with another
 * key is refused, so that a collision of file names never gives foreign data. Not synced to disk: the
 * checksum tells. `folder`: where the file lies until it is whole, NULL for its own folder. */
int pack_write(const char *path, const char *key, const Tensor *t, int flow64, const char *folder);
Tensor *pack_read(const char *path, const char *key);

#endif
