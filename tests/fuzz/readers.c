/* The readers in C and what a file may cost each: see FuzzReader. Output that is larger than the file has its
 * reason beside it. */
#include "fuzz.h"

#include "core/error.h"
#include "data/loader.h"
#include "io/container.h"
#include "io/image.h"
#include "io/json.h"
#include "io/pickled.h"
#include "io/tflite.h"
#include "io/video.h"
#include "io/zip.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- pictures ---- */

static void read_rgb8(const char *path, Bundle *out) { fuzz_give(out, png_read(path, PNG_RGB8)); }
static void read_rgb16(const char *path, Bundle *out) { fuzz_give(out, png_read(path, PNG_RGB16)); }
static void read_mask(const char *path, Bundle *out) { fuzz_give(out, png_read(path, PNG_MASK)); }

static void read_flow(const char *path, Bundle *out) {
  Tensor *valid = NULL, *flow = flow_png_read(path, &valid);
  fuzz_give(out, flow);
  if (flow) fuzz_give(out, valid);
}

static void read_jpeg(const char *path, Bundle *out) { fuzz_give(out, jpeg_read(path)); }

static size_t number(const uint8_t *at, int bytes) {
  size_t value = 0;
  while (bytes-- > 0) value = value << 8 | *at++;
  return value;
}

/* Of the size that a PNG claims, as long as its bytes can hold it at one bit each: so many bytes a pixel, the
 * list of rows, and libpng's own few rows. */
static size_t png_bytes(const uint8_t *data, size_t size, size_t each) {
  if (size < 24) return 0;
  size_t w = number(data + 16, 4), h = number(data + 20, 4), most = size * 1032 * 8;
  return w && h <= most / w ? each * w * h + 8 * h + 64 * w : 0;
}

/* The picture, and once more to turn it. */
static size_t pixels_rgb8(const uint8_t *data, size_t size) { return png_bytes(data, size, 2 * 3); }
static size_t pixels_rgb16(const uint8_t *data, size_t size) { return png_bytes(data, size, 2 * 12); }
/* Four channels of 16 bits, the mask, and once more to turn it. */
static size_t pixels_mask(const uint8_t *data, size_t size) { return png_bytes(data, size, 8 + 1 + 1); }
/* The picture, flow and validity. */
static size_t pixels_flow(const uint8_t *data, size_t size) { return png_bytes(data, size, 12 + 8 + 1); }

/* The largest of all frame headers: coefficients of a progressive picture, in whole blocks, the picture, and
 * once more to turn it. A block of 64 pixels takes at least a bit. */
static size_t pixels_jpeg(const uint8_t *data, size_t size) {
  size_t largest = 0;
  for (size_t at = 0; at + 9 <= size; at++) {
    size_t h = number(data + at + 5, 2), w = number(data + at + 7, 2);
    size_t bytes = (6 + 3 + 3) * (w + 32) * (h + 32);
    if (data[at] == 0xFF && data[at + 1] >> 4 == 0xC && w * h <= 512 * size && bytes > largest)
      largest = bytes;
  }
  return largest;
}

/* ---- arrays ---- */

static void read_flo(const char *path, Bundle *out) { fuzz_give(out, flo_read(path)); }
static void read_npy(const char *path, Bundle *out) { fuzz_give(out, npy_read(path)); }
static void read_pack(const char *path, Bundle *out) { fuzz_give(out, pack_read(path, "key")); }

static void read_npz(const char *path, Bundle *out) {
  if (!npz_read(path, out)) fuzz_failed();
}

static void read_safetensors(const char *path, Bundle *out) {
  if (!safetensors_read(path, out)) fuzz_failed();
}

static void read_pth(const char *path, Bundle *out) {
  if (!pth_read(path, out)) fuzz_failed();
}

/* The constants, and the places that operators read: what is no place of a tensor would be found here. */
static void read_tflite(const char *path, Bundle *out) {
  Tflite t;
  long places = 0;
  if (!tflite_read(path, &t)) {
    fuzz_failed();
    return;
  }
  for (int i = 0; i < t.operators_count; i++)
    for (int k = 0; k < t.operators[i].inputs.count; k++)
      if (t.operators[i].inputs.items[k] >= 0) places += t.tensors[t.operators[i].inputs.items[k]].rank;
  if (places < 0) fuzz_found("ranks below 0");
  for (int i = 0; i < t.tensors_count; i++)
    if (t.tensors[i].constant) fuzz_give(out, tensor_retain(t.tensors[i].constant));
  tflite_free(&t);
}

/* All arrays, wherever they are. */
static void read_pickled(const char *path, Bundle *out) {
  Pickled p;
  if (!pickled_read(path, &p)) {
    fuzz_failed();
    return;
  }
  for (uint32_t i = 0; i < p.pickle.count; i++) {
    if (!pickled_is_array(&p, &p.pickle.values[i])) continue;
    Tensor *t = pickled_array(&p, &p.pickle.values[i]);
    if (!t) {
      fuzz_failed();
      break;
    }
    fuzz_give(out, t);
  }
  pickled_free(&p);
}

static void read_sample(const char *path, Bundle *out) {
  Sample s;
  if (!sample_read(path, &s)) {
    fuzz_failed();
    return;
  }
  Tensor *all[] = {s.image, s.maps, s.person, s.points};
  for (int i = 0; i < 4; i++) fuzz_give(out, tensor_retain(all[i]));
  sample_free(&s);
}

/* ---- JSON ---- */

/* A text or key with its escapes resolved, by `add`. */
static int add_text(JsonWriter *to, const Json *j, int (*add)(JsonWriter *, const char *, size_t)) {
  char *text = malloc(j->size + 1);
  int ok = text && add(to, text, json_text(j, text));
  free(text);
  return ok;
}

static int add_number(JsonWriter *to, const Json *j) {
  char number[JSON_NUMBER_ROOM];
  double value = json_number(j);
  if (value - value != 0) return json_add_word(to, "1e999"); /* an infinity */
  json_number_text(value, number);
  return json_add_word(to, number);
}

/* Reads all of a text and writes it again; 0: it is no JSON. */
static int rewrite(const Bytes *from, JsonWriter *to) {
  Json j;
  JsonPiece piece;
  char brackets[JSON_DEPTH + 1];
  if (!json_begin(&j, "input", "JSON", (const char *)from->data, from->size - 1)) return 0;
  while ((piece = json_next(&j)) != JSON_END) {
    int ok = 0;
    switch (piece) {
    case JSON_WRONG: return 0;
    case JSON_NULL: ok = json_add_word(to, "null"); break;
    case JSON_FALSE: ok = json_add_word(to, "false"); break;
    case JSON_TRUE: ok = json_add_word(to, "true"); break;
    case JSON_NUMBER: ok = add_number(to, &j); break;
    case JSON_TEXT: ok = add_text(to, &j, json_add_text_bytes); break;
    case JSON_KEY: ok = add_text(to, &j, json_add_key_bytes); break;
    case JSON_CLOSE: ok = json_close(to, brackets[j.depth]); break;
    default:
      brackets[j.depth - 1] = piece == JSON_LIST ? ']' : '}';
      ok = json_open(to, piece == JSON_LIST ? '[' : '{');
    }
    if (!ok) fuzz_found("%s", error_message());
  }
  return bytes_add(&to->text, "", 1);
}

/* What is written reads as the same. */
static void read_json(const char *path, Bundle *out) {
  Bytes text = {0};
  JsonWriter once = {0}, again = {0};
  if (!file_read(path, 1 << 20, &text) || !bytes_add(&text, "", 1)) fuzz_found("%s", error_message());
  if (!rewrite(&text, &once)) {
    fuzz_failed();
  } else {
    if (!rewrite(&once.text, &again)) fuzz_found("wrote what it does not read: %s", error_message());
    if (strcmp((char *)once.text.data, (char *)again.text.data)) fuzz_found("reads other than it writes");
    if (!bundle_note(out, "text", (char *)once.text.data)) fuzz_found("%s", error_message());
  }
  bytes_free(&text), bytes_free(&once.text), bytes_free(&again.text);
}

/* ---- zip ---- */

/* All bytes of all entries, in pieces. */
static int read_entry(const Zip *zip, const ZipEntry *e) {
  ZipStream z;
  char piece[1 << 12];
  if (!zip_begin(&z, zip, e, "entry")) return 0;
  int ok = 1;
  while (ok && z.stream.left > 0)
    ok = z.stream.take(&z.stream, piece, z.stream.left < sizeof piece ? z.stream.left : sizeof piece);
  ok = ok && zip_intact(&z);
  zip_finish(&z);
  return ok;
}

static void read_zip(const char *path, Bundle *out) {
  (void)out;
  Zip zip;
  if (!zip_open(&zip, path)) {
    fuzz_failed();
    return;
  }
  for (long i = 0; i < zip.count; i++)
    if (!read_entry(&zip, &zip.entries[i])) fuzz_failed();
  zip_close(&zip);
}

/* ---- video: the container's own size, and what comes out of ffmpeg's pipes ---- */

static void read_container(const char *path, Bundle *out) {
  (void)out;
  if (!container_whole(path)) fuzz_failed();
}

static Source open_input(const char *path) {
  Source source;
  if (!source_open(&source, path)) fuzz_found("%s", error_message());
  return source;
}

static void read_video(const char *path, Bundle *out) {
  Video v = {.process = {.in = -1, .out = open_input(path).fd, .err = -1}, .path = "pipe"};
  Tensor *frame = NULL;
  int ok;
  while ((ok = video_next(&v, &frame)) && frame) fuzz_give(out, frame);
  if (!ok) fuzz_failed();
  process_close(&v.process);
}

static void read_complaint(const char *path, Bundle *out) {
  Complaint c = {.url = "file:a.mp4"};
  Process p = {.in = -1, .out = -1, .err = open_input(path).fd, .hear = complaint_hear, .who = &c};
  char byte;
  if (process_read(&p, &byte, 1) < 0) fuzz_failed();
  process_close(&p);
  if (!bundle_note(out, "error", c.error) || !bundle_note(out, "damage", c.damage)) fuzz_failed();
}

enum { K = 1 << 10, DEFLATE = 1032 }; /* bytes of one, at most */
const FuzzReader fuzz_readers[] = {
    {"rgb8", read_rgb8, 256 * K, 4, pixels_rgb8, mend_png, FUZZ_STRICT},
    {"rgb16", read_rgb16, 256 * K, 4, pixels_rgb16, mend_png, FUZZ_STRICT},
    {"mask", read_mask, 256 * K, 4, pixels_mask, mend_png, FUZZ_STRICT},
    {"flow", read_flow, 256 * K, 4, pixels_flow, mend_png, FUZZ_STRICT},
    {"jpeg", read_jpeg, 512 * K, 4, pixels_jpeg, NULL, FUZZ_STRICT},
    {"npy", read_npy, 64 * K, 8, NULL, NULL, FUZZ_STRICT},
    {"npz", read_npz, 256 * K, 4 * DEFLATE, NULL, mend_zip, FUZZ_STRICT}, /* int8 becomes int32 */
    {"flo", read_flo, 64 * K, 2, NULL, NULL, FUZZ_STRICT},
    {"safetensors", read_safetensors, 64 * K, 64, NULL, NULL, FUZZ_STRICT},
    {"pth", read_pth, 20 * K *K, 64 * DEFLATE, NULL, mend_zip, FUZZ_STRICT},
    {"pickled", read_pickled, 256 * K, 160, NULL, NULL, FUZZ_STRICT},
    {"tflite", read_tflite, 256 * K, 40, NULL, NULL, FUZZ_STRICT},
    {"zip", read_zip, 256 * K, 2, NULL, mend_zip, FUZZ_STRICT},
    {"pack", read_pack, 64 * K, 4 * DEFLATE, NULL, mend_pack, FUZZ_STRICT},
    {"sample", read_sample, 256 * K, 4 * DEFLATE, NULL, mend_zip, FUZZ_STRICT},
    {"container", read_container, 64 * K, 1, NULL, NULL, FUZZ_STRICT},
    {"video", read_video, 64 * K, 4, NULL, NULL, FUZZ_PIPE},
    {"complaint", read_complaint, 64 * K, 4, NULL, NULL, FUZZ_STRICT},
    {"json", read_json, 64 * K, 64, NULL, NULL, FUZZ_STRICT},
    {"hands", fuzz_hands, 32 * K *K, 64, NULL, NULL, FUZZ_LUA},
    {"queries", fuzz_queries, 32 * K *K, 64, NULL, NULL, FUZZ_LUA},
    {NULL, NULL, 0, 0, NULL, NULL, FUZZ_STRICT},
};
