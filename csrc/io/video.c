/* Frames from a pipe: see video.h. ffmpeg writes a sequence of PPM pictures, which carry their own size, so
 * that no second program has to be asked for it. Sound, subtitles and timestamps are ignored. Needs
 * ffmpeg 5.1 or later. */
#include "io/video.h"

#include "core/error.h"
#include "io/container.h"
#include "io/file.h"
#include "io/image.h"
#include "io/kind.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Only containers of video: ffmpeg would also read playlists that name other files,
 * or draw text as pictures. */
#define CONTAINERS                                                                                           \
  "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,ogg,flv,asf,gif,apng,nut,ivf,mxf,mpegvideo,h264,"   \
  "hevc,m4v"

enum { ARGUMENTS = 48 };

/* What all uses of ffmpeg begin with: its words come with their level; of the file only the first video is
 * wanted, pictures of a cover left out. `url` and a use's own arguments follow. */
static const char *const before[] = {"ffmpeg",
                                     "-nostdin",
                                     "-hide_banner",
                                     "-v",
                                     NULL /* level */,
                                     "-threads",
                                     NULL /* threads */,
                                     "-protocol_whitelist",
                                     "file",
                                     "-format_whitelist",
                                     CONTAINERS,
                                     "-an",
                                     "-sn",
                                     "-dn",
                                     "-i",
                                     NULL /* url */,
                                     "-map",
                                     "0:V:0",
                                     "-fps_mode",
                                     "passthrough"};

/* A way of using ffmpeg. */
typedef struct Use {
  const char *level, *threads;
  const char *sink[8];
} Use;

static const Use frames_use = {
    "level+warning", "2", {"-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "pipe:1", NULL}};
static const Use count_use = {"level+warning", "2", {"-f", "null", "-progress", "pipe:1", "-", NULL}};
/* A line for each frame, among the complaints; one thread, lest decoding runs ahead of the lines. */
static const Use place_use = {"level+info", "1", {"-vf", "showinfo=checksum=0", "-f", "null", "-", NULL}};
/* What the head of the file tells, among the complaints. */
static const Use rate_use = {"level+info", "1", {"-frames:v", "1", "-f", "null", "-", NULL}};

/* Starts ffmpeg on `url`; what it says goes to `c`. */
static int start(Process *p, Complaint *c, const char *url, const Use *use) {
  const char *argv[ARGUMENTS] = {0};
  const char *const given[] = {use->level, use->threads, url};
  int n = 0, k = 0;
  for (size_t i = 0; i < sizeof before / sizeof *before; i++) argv[n++] = before[i] ? before[i] : given[k++];
  for (int i = 0; use->sink[i]; i++) argv[n++] = use->sink[i];
  *c = (Complaint){.url = url};
  return process_start(p, (char *const *)(uintptr_t)argv, complaint_hear, c);
}

/* file:PATH of a file that is there and as long as it says; NULL with a message: a missing file or a folder
 * is told by us, in our words. */
static char *url_of(const char *path) {
  char *url = NULL;
  if (!container_whole(path)) return NULL;
  if (asprintf(&url, "file:%s", path) >= 0) return url;
  fail("%s: expected memory for its name, found none left", path);
  return NULL;
}

/* Fails for a file that gives no frame: with what it is, if it is no video, else with ffmpeg's words. */
static int no_video(const char *path, const char *words) {
  char room[KIND_TEXT];
  Source source;
  if (!source_open(&source, path)) return 0;
  const char *kind = kind_of_source(room, &source);
  source_close(&source);
  if (kind && !strstr(kind, "video") && !strstr(kind, "stream"))
    return fail("%s: expected a video file, found %s", path, kind);
  if (strncmp(words, "Stream map '0:V:0'", 18) == 0)
    return fail("%s: expected a video file, found no moving pictures in it (sound alone?)", path);
  return fail("%s: expected a video file, found: %s", path, words);
}

/* Fails when ffmpeg told of damage, or failed with this status. near: the frame that came next, -1 before
 * any. */
static int judge(const Complaint *c, const char *path, int status, long near) {
  const char *words = c->damage[0] ? c->damage : c->error[0] ? c->error : "nothing that it names";
  if (!c->damage[0] && status == 0) return 1;
  if (near < 0) return no_video(path, words);
  return fail("%s: expected a whole video file, found damage near frame %ld: %s", path, near, words);
}

/* As of a decoder that is read in order. Before the first picture's size anything may be wrong; after it, what
 * is said may be of a later frame, since decoding runs ahead of the pipe. */
static int judge_next(const Video *v, int status) {
  return judge(&v->complaint, v->path, status, v->width > 0 ? v->next : -1);
}

/* The output is over: 1 when all went well, so that a broken file never looks like a short one. */
static int at_end(Video *v) {
  int status = process_wait(&v->process);
  if (status < 0 || !judge_next(v, status)) return 0;
  if (v->next == 0) return fail("%s: expected a video file, found no frames", v->path);
  v->ended = 1;
  return 1;
}

/* A number of up to 9 digits that ends in `end`: the place behind that; NULL when there is none. */
static const char *number(const char *at, const char *last, char end, long *value) {
  const char *first = at;
  for (*value = 0; at < last && *at >= '0' && *at <= '9' && at - first < 9; at++)
    *value = *value * 10 + (*at - '0');
  return at > first && at < last && *at == end ? at + 1 : NULL;
}

int video_head(const char *bytes, size_t size, long *width, long *height) {
  const char *end = memchr(bytes, '\n', size), *at;
  for (int lines = 1; end && lines < 3; lines++)
    end = memchr(end + 1, '\n', size - (size_t)(end + 1 - bytes));
  if (!end) return size < VIDEO_HEAD ? 0 : -1;
  long most = 0;
  if (strncmp(bytes, "P6\n", 3) != 0 || !(at = number(bytes + 3, end + 1, ' ', width)) ||
      !(at = number(at, end + 1, '\n', height)) || !(at = number(at, end + 1, '\n', &most)) || most != 255)
    return -1;
  if (*width <= 0 || *height <= 0 || *height > IMAGE_PIXELS_MAX / *width) return -1;
  return (int)(at - bytes);
}

/* The output ended within a frame: fails with what ffmpeg said, if it did. */
static int broken_off(Video *v) {
  int status = process_wait(&v->process);
  if (status < 0 || !judge_next(v, status)) return 0;
  return fail("%s: expected whole frames from ffmpeg, found the end", v->path);
}

/* The head of the next frame, or the end. */
static int read_header(Video *v) {
  char text[VIDEO_HEAD];
  size_t size = 0;
  long w = 0, h = 0;
  int length = 0;
  while (length == 0) { /* never a byte beyond the head: those are pixels */
    size_t wanted = size ? 1 : sizeof "P6\n1 1\n255\n" - 1;
    long got = process_read(&v->process, text + size, wanted);
    if (got < 0) return 0;
    if (got == 0 && size == 0) return at_end(v);
    if ((size_t)got < wanted) return broken_off(v);
    size += wanted;
    length = video_head(text, size, &w, &h);
  }
  if (length < 0) return fail("%s: expected a frame from ffmpeg, found something else", v->path);
  if (v->width && (w != v->width || h != v->height))
    return fail("%s: expected frames of %ldx%ld, found %ldx%ld from frame %ld on", v->path, v->width,
                v->height, w, h, v->next);
  v->width = w;
  v->height = h;
  v->header_read = 1;
  return judge_next(v, 0);
}

Video *video_open(const char *path) {
  char *url = url_of(path);
  Video *v = url ? calloc(1, sizeof *v) : NULL;
  if (!v) {
    if (url) fail("%s: expected memory for a video, found none left", path);
    free(url);
    return NULL;
  }
  v->url = url;
  v->path = url + strlen("file:");
  v->process.in = v->process.out = v->process.err = -1; /* nothing to shut before it is started */
  if (start(&v->process, &v->complaint, v->url, &frames_use) && read_header(v)) return v;
  video_close(v);
  return NULL;
}

void video_close(Video *v) {
  if (!v) return;
  process_close(&v->process);
  free(v->url);
  free(v);
}

/* Reads and drops. */
static int pass_over(Video *v, size_t size) {
  char *piece = malloc(1 << 16);
  if (!piece) return fail("%s: expected memory for a frame, found none left", v->path);
  long got = 1;
  while (size > 0 && got > 0) {
    got = process_read(&v->process, piece, size < 1 << 16 ? size : 1 << 16);
    size -= got > 0 ? (size_t)got : 0;
  }
  free(piece);
  return got > 0 || (got == 0 && broken_off(v));
}

/* Takes the pixels of a frame whose head was read: into a new tensor, or nowhere. */
static int take_pixels(Video *v, Tensor **frame) {
  size_t size = (size_t)v->width * (size_t)v->height * 3;
  if (!frame) return pass_over(v, size);
  Tensor *t = tensor_new(U8, 3, (long[]){v->height, v->width, 3});
  if (!t) return 0;
  long got = process_read(&v->process, tensor_write(t), size);
  if (got == (long)size) {
    *frame = t;
    return 1;
  }
  tensor_release(t);
  return got >= 0 ? broken_off(v) : 0;
}

int video_next(Video *v, Tensor **frame) {
  if (frame) *frame = NULL;
  if (!v->ended && !v->header_read && !read_header(v)) return 0;
  if (v->ended) return 1;
  if (!take_pixels(v, frame)) return 0;
  if (!judge_next(v, 0)) { /* what was said before the last byte has been heard */
    if (frame) tensor_release(*frame);
    if (frame) *frame = NULL;
    return 0;
  }
  v->header_read = 0;
  v->next++;
  return 1;
}

/* The last "frame=N" of ffmpeg's progress report. */
static int read_count(Process *p, long *frames) {
  char text[4096 + 1];
  size_t kept = 0;
  long got;
  *frames = 0;
  do {
    if ((got = process_read(p, text + kept, 4096 - kept)) < 0) return 0;
    text[kept += (size_t)got] = 0;
    char *line = text, *end;
    for (; (end = strchr(line, '\n')); line = end + 1) sscanf(line, "frame=%ld", frames);
    kept = strlen(line) < 2048 ? strlen(line) : 0;
    memmove(text, line, kept);
  } while (got > 0);
  return 1;
}

/* Fails for a damaged file, of which `known` was told, with the frame near which it is: decodes once more,
 * and counts the frames before the first complaint. */
static int name_place(const Complaint *known, const char *path) {
  Process p;
  Complaint c;
  char nothing[1];
  if (!start(&p, &c, known->url, &place_use)) return 0;
  int status = process_read(&p, nothing, 1) < 0 ? -1 : process_wait(&p);
  process_close(&p);
  if (status < 0 || !judge(&c, path, status, c.frames)) return 0;
  return fail("%s: expected a whole video file, found: %s", path, known->damage);
}

int video_count(const char *path, long *frames) {
  Process p;
  Complaint c;
  char *url = url_of(path);
  if (!url) return 0;
  int ok = start(&p, &c, url, &count_use) && read_count(&p, frames), status = ok ? process_wait(&p) : -1;
  process_close(&p);
  ok = status >= 0 && (c.damage[0] && *frames > 0 ? name_place(&c, path) : judge(&c, path, status, -1));
  free(url);
  return ok && (*frames > 0 || fail("%s: expected a video file, found no frames", path));
}

int video_rate(const char *path, double *rate) {
  Process p;
  Complaint c;
  char nothing[1], *url = url_of(path);
  if (!url) return 0;
  int ok = start(&p, &c, url, &rate_use) && process_read(&p, nothing, 1) >= 0;
  int status = ok ? process_wait(&p) : -1;
  process_close(&p);
  ok = status == 0 || (status > 0 && judge(&c, path, status, -1));
  free(url);
  *rate = c.rate;
  return ok;
}
