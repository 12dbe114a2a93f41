/* Renders a clip and writes its files. Files are not synced one by one: a clip whose folder was renamed into
 * place before a power cut may have to be deleted, everything else is written again by the next run. */
#include "world/clip.h"

#include "core/error.h"
#include "core/pool.h"
#include "io/folder.h"
#include "io/lock.h"
#include "io/image.h"
#include "world/detect.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_ROOM = 4096 };

typedef struct Work {
  const WorldOptions *o;
  Scene scene;
  Render render;
  Truth truth;
  Detector detector;
  char name[64];
  Tensor *rgb, *mask, *flow16; /* uint8 H×W×3, uint8 H×W, int32 H×W×3 */
  float *flow;
  JsonWriter exact, detected, queries;
} Work;

void world_name(const WorldOptions *o, uint64_t index, char name[64]) {
  snprintf(name, 64, "s%llu_%07llu", (unsigned long long)o->seed, (unsigned long long)index);
}

/* A path below the data folder; 0 with a message when it is too long. */
static int path_below(const WorldOptions *o, char path[PATH_ROOM], const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int path_below(const WorldOptions *o, char path[PATH_ROOM], const char *format, ...) {
  va_list list;
  int n = snprintf(path, PATH_ROOM, "%s/", o->out);
  if (n > 0 && n < PATH_ROOM) {
    va_start(list, format);
    n += vsnprintf(path + n, (size_t)(PATH_ROOM - n), format, list);
    va_end(list);
  }
  return (n > 0 && n < PATH_ROOM) ||
         fail("world: expected an out folder with a shorter path, found %zu characters", strlen(o->out));
}

static int put(const char *path, const void *data, size_t size) {
  Sink sink;
  if (!sink_open(&sink, path)) return 0;
  sink.durable = 0;
  if (!sink_write(&sink, data, size)) {
    sink_abort(&sink);
    return 0;
  }
  return sink_commit(&sink);
}

static int put_picture(const char *path, const Tensor *image, int depth) {
  Bytes bytes;
  if (!png_encode_fast(image, depth, &bytes)) return 0;
  int ok = put(path, bytes.data, bytes.size);
  bytes_free(&bytes);
  return ok;
}

/* The pixels whose label is `label` (or, with `people`, anybody's) into the mask tensor. */
static Tensor *mask_of(Work *w, int label, int people) {
  uint8_t *to = tensor_write(w->mask);
  const unsigned char *from = w->truth.label;
  uint8_t on = people ? 255 : 1;
  if (!to) return NULL;
  for (long i = 0; i < w->mask->size; i++)
    to[i] = (people ? from[i] != LABEL_ROOM && from[i] < LABEL_THING : from[i] == label) ? on : 0;
  return w->mask;
}

static int put_mask(Work *w, int frame, const char *what, int k, int label) {
  char path[PATH_ROOM];
  return path_below(w->o, path, "masks/%s/%06d_%s%d.png", w->name, frame, what, k) && mask_of(w, label, 0) &&
         put_picture(path, w->mask, 1);
}

/* object: the name of the thing in the hand, NULL without one */
static int add_query(JsonWriter *out, const Seen *h, int left, const char *object) {
  return json_open(out, '{') && json_add_key(out, "side") && json_add_text(out, left ? "left" : "right") &&
         json_add_key(out, "query") && json_open(out, '[') && json_add_whole(out, h->query[0]) &&
         json_add_whole(out, h->query[1]) && json_close(out, ']') && json_add_key(out, "object") &&
         (object ? json_add_text(out, object) : json_add_word(out, "null")) &&
         json_add_key(out, "hand_pixels") && json_add_whole(out, h->hand_pixels) &&
         json_add_key(out, "object_pixels") && json_add_whole(out, object ? h->object_pixels : 0) &&
         json_close(out, '}');
}

static int put_masks(Work *w, int frame) {
  const Truth *t = &w->truth;
  const int every = w->o->mask_every;
  if (!every || frame % every != every / 2) return 1;
  char number[16];
  snprintf(number, sizeof number, "%d", frame);
  int ok = json_add_key(&w->queries, number) && json_open(&w->queries, '[');
  for (int i = 0; i < t->hands && ok; i++) {
    const Seen *h = &t->seen[i];
    const Scene *s = &w->scene;
    int held = h->thing >= 0 && h->object_pixels > w->mask->size / 6000; /* not a few lost pixels */
    ok = put_mask(w, frame, "hand", i + 1, LABEL_HAND + h->actor) &&
         put_mask(w, frame, "arm", i + 1, LABEL_ARM + h->actor) &&
         (!held || put_mask(w, frame, "object", i + 1, LABEL_THING + h->thing)) &&
         add_query(&w->queries, h, s->actor[h->actor].left, held ? s->thing[h->thing].name : NULL);
  }
  return ok && json_close(&w->queries, ']');
}

/* KITTI's 16-bit form: 2^15 + 64 × pixels. */
static int put_flow(Work *w, int frame, int gap) {
  char path[PATH_ROOM];
  int32_t *to = tensor_write(w->flow16);
  if (!to) return 0;
  truth_flow(&w->truth, frame, frame + gap, w->flow);
  for (long i = 0; i < w->mask->size; i++) {
    to[3 * i] = 32768 + (int32_t)lrintf(64 * w->flow[2 * i]);
    to[3 * i + 1] = 32768 + (int32_t)lrintf(64 * w->flow[2 * i + 1]);
    to[3 * i + 2] = 1;
  }
  return path_below(w->o, path, "truth/flow/%s/%d/%06d.png", w->name, gap, frame) &&
         put_picture(path, w->flow16, 16);
}

static int put_frame(Work *w, int frame) {
  char path[PATH_ROOM];
  const WorldOptions *o = w->o;
  uint8_t *rgb = tensor_write(w->rgb);
  if (!rgb) return 0;
  render_frame(&w->render, frame, rgb);
  if (!path_below(o, path, "clips/.%s.part/%06d.png", w->name, frame) || !put_picture(path, w->rgb, 8))
    return 0;
  truth_frame(&w->truth, frame);
  if (!put_masks(w, frame)) return 0;
  if (o->truth & WORLD_PERSON && (!path_below(o, path, "truth/person/%s/%06d.png", w->name, frame) ||
                                  !mask_of(w, 0, 1) || !put_picture(path, w->mask, 8)))
    return 0;
  for (int gap = -NEIGHBOURS; gap <= NEIGHBOURS && o->truth & WORLD_FLOW; gap++)
    if (gap && frame + gap >= 0 && frame + gap < o->frames && !put_flow(w, frame, gap)) return 0;
  return exact_hands(&w->truth, &w->exact) && detected_hands(&w->detector, &w->truth, frame, &w->detected);
}

/* A folder of this clip alone, without what a killed process was writing there. */
static int fresh_folder(const char *path) {
  if (!folder_make(path)) return 0;
  lock_sweep(path);
  return 1;
}

static int make_folders(const Work *w) {
  char path[PATH_ROOM];
  const WorldOptions *o = w->o;
  int ok = path_below(o, path, "hands_json") && folder_make(path) &&
           (!o->mask_every || (path_below(o, path, "masks/%s", w->name) && fresh_folder(path))) &&
           path_below(o, path, "clips/.%s.part", w->name) && fresh_folder(path);
  if (ok && o->truth & WORLD_VERTICES) ok = path_below(o, path, "truth/vertices") && folder_make(path);
  if (ok && o->truth & WORLD_PERSON)
    ok = path_below(o, path, "truth/person/%s", w->name) && fresh_folder(path);
  for (int gap = -NEIGHBOURS; gap <= NEIGHBOURS && ok && o->truth & WORLD_FLOW; gap++)
    ok = !gap || abs(gap) >= o->frames ||
         (path_below(o, path, "truth/flow/%s/%d", w->name, gap) && fresh_folder(path));
  return ok;
}

static int buffers(Work *w) {
  const long shape[3] = {w->o->height, w->o->width, 3};
  w->rgb = tensor_new(U8, 3, shape), w->mask = tensor_new(U8, 2, shape),
  w->flow16 = tensor_new(I32, 3, shape);
  w->flow = arena_take(&w->scene.arena, 2 * (size_t)shape[0] * (size_t)shape[1] * sizeof(float));
  return w->rgb && w->mask && w->flow16 && w->flow;
}

/* The documents: what all of them begin with, and what is around `frames`, a bracket. */
static int begin_document(JsonWriter *out, const WorldOptions *o, char bracket) {
  return json_open(out, '{') && json_add_key(out, "width") && json_add_whole(out, o->width) &&
         json_add_key(out, "height") && json_add_whole(out, o->height) && json_add_key(out, "frames") &&
         json_open(out, bracket);
}

static int put_document(const char *path, JsonWriter *out, char bracket) {
  return json_close(out, bracket) && json_close(out, '}') && bytes_add(&out->text, "\n", 1) &&
         put(path, out->text.data, out->text.size);
}

static int finish(Work *w) {
  char path[PATH_ROOM], target[PATH_ROOM];
  const WorldOptions *o = w->o;
  if (!path_below(o, path, "hands_json/%s.json", w->name) || !put_document(path, &w->detected, ']')) return 0;
  if (o->mask_every &&
      (!path_below(o, path, "masks/%s/queries.json", w->name) || !put_document(path, &w->queries, '}')))
    return 0;
  if (o->truth & WORLD_VERTICES &&
      (!path_below(o, path, "truth/vertices/%s.json", w->name) || !put_document(path, &w->exact, ']')))
    return 0;
  return path_below(o, path, "clips/.%s.part", w->name) && path_below(o, target, "clips/%s", w->name) &&
         (rename(path, target) == 0 ||
          fail("%s: expected to rename a folder to it, found: %s", target, strerror(errno)));
}

int world_clip(const WorldOptions *o, uint64_t index) {
  Work *w = calloc(1, sizeof *w);
  if (!w) return fail("world: expected memory for a clip, found none left");
  w->o = o;
  world_name(o, index, w->name);
  int ok = scene_make(&w->scene, o->seed, index, o->width, o->height, o->frames) &&
           render_start(&w->render, &w->scene) && truth_start(&w->truth, &w->render, &w->scene.arena) &&
           buffers(w) && make_folders(w);
  ok = ok && begin_document(&w->exact, o, '[') && begin_document(&w->detected, o, '[') &&
       begin_document(&w->queries, o, '{');
  if (ok) detector_start(&w->detector, &w->scene, o->seed, index);
  for (int frame = 0; frame < o->frames && ok; frame++)
    ok = interrupted ? fail("interrupted") : put_frame(w, frame);
  ok = ok && finish(w);
  tensor_release(w->rgb), tensor_release(w->mask), tensor_release(w->flow16);
  bytes_free(&w->exact.text), bytes_free(&w->detected.text), bytes_free(&w->queries.text);
  scene_free(&w->scene);
  free(w);
  return ok;
}

typedef struct Batch {
  const WorldOptions *o;
  uint64_t first;
} Batch;

static int one(void *arg, long chunk) {
  const Batch *b = arg;
  char path[PATH_ROOM], name[64];
  world_name(b->o, b->first + (uint64_t)chunk, name);
  if (!path_below(b->o, path, "clips/%s", name)) return 0;
  return path_status(path).kind == 'd' || world_clip(b->o, b->first + (uint64_t)chunk);
}

int world_clips(const WorldOptions *o, uint64_t first, long count) {
  Batch batch = {o, first};
  return parallel(count, one, &batch);
}
