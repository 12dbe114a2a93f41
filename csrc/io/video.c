/* Frames from a pipe: see video.h. ffmpeg writes a sequence of PPM pictures, which carry their own size, so
 * that no second program has to be asked for it. Sound, subtitles and timestamps are ignored. Needs
 * ffmpeg 5.1 or later. */
#include "io/video.h"

#include "core/error.h"
#include "io/file.h"
#include "io/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Only containers of video: ffmpeg would also read playlists that name other files, or draw text as pictures.
 */
#define CONTAINERS                                                                                           \
  "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,ogg,flv,asf,gif,apng,nut,ivf,mxf,mpegvideo,h264,"   \
  "hevc,m4v"

enum { ARGUMENTS = 40 };

/* The command line that decodes `url` (file:PATH) into `sink`'s arguments. */
static int start(Process *p, const char *path, const char *const *sink) {
  const char *argv[ARGUMENTS] = {"ffmpeg",   "-nostdin", "-hide_banner",        "-v",   "error",
                                 "-threads", "2",        "-protocol_whitelist", "file", "-format_whitelist",
                                 CONTAINERS, "-i"};
  char *url = NULL;
  if (asprintf(&url, "file:%s", path) < 0)
    return fail("%s: expected memory for its name, found none left", path);
  int n = 12;
  argv[n++] = url;
  for (const char *const *rest = (const char *const[]){"-map", "0:v:0", "-fps_mode", "passthrough", NULL};
       *rest;)
    argv[n++] = *rest++;
  while (*sink && n < ARGUMENTS - 1) argv[n++] = *sink++;
  int ok = process_start(p, (char *const *)(uintptr_t)argv);
  free(url);
  return ok;
}

/* Fails with the first line of what ffmpeg said, without the addresses that it puts in front. */
static int complain(const Process *p, const char *path, const char *expected) {
  const char *line = p->words;
  while (*line == '[') {
    const char *end = strstr(line, "] ");
    if (!end) break;
    line = end + 2;
  }
  if (strncmp(line, "file:", 5) == 0 && strstr(line, ": ")) line = strstr(line, ": ") + 2;
  int n = (int)strcspn(line, "\r\n");
  return fail("%s: expected %s, found: %.*s", path, expected, n ? (n < 200 ? n : 200) : 7,
              n ? line : "nothing");
}

/* A file that ends in the middle still decodes up to there: what the demuxers say then. */
static int cut_short(const Process *p) {
  return strstr(p->words, "partial file") || strstr(p->words, "ended prematurely");
}

/* The output is over: 1 when all went well, so that a broken file never looks like a short one. */
static int at_end(Video *v) {
  int status = process_wait(&v->process);
  if (status < 0) return 0;
  if (v->next == 0 || status != 0) return complain(&v->process, v->path, "a video file");
  if (cut_short(&v->process)) return complain(&v->process, v->path, "a whole video file");
  v->ended = 1;
  return 1;
}

/* "P6\nW H\n255\n" of the next frame, or the end. */
static int read_header(Video *v) {
  char text[32];
  long w = 0, h = 0;
  for (int n = 0, lines = 0; lines < 3; n++) {
    if (n == (int)sizeof text - 1)
      return fail("%s: expected a frame from ffmpeg, found something else", v->path);
    long got = process_read(&v->process, text + n, 1);
    if (got < 0) return 0;
    if (got == 0 && n > 0) return fail("%s: expected whole frames from ffmpeg, found the end", v->path);
    if (got == 0) return at_end(v);
    text[n + 1] = 0;
    lines += text[n] == '\n';
  }
  if (sscanf(text, "P6 %ld %ld 255", &w, &h) != 2 || w <= 0 || h <= 0 || h > IMAGE_PIXELS_MAX / w)
    return fail("%s: expected a frame from ffmpeg, found something else", v->path);
  if (v->width && (w != v->width || h != v->height))
    return fail("%s: expected frames of %ldx%ld, found %ldx%ld", v->path, v->width, v->height, w, h);
  v->width = w;
  v->height = h;
  v->header_read = 1;
  return 1;
}

Video *video_open(const char *path) {
  static const char *const frames[] = {"-f",       "image2pipe", "-c:v",   "ppm",
                                       "-pix_fmt", "rgb24",      "pipe:1", NULL};
  Source source; /* a missing file or a folder is told by us, in our words */
  if (!source_open(&source, path)) return NULL;
  source_close(&source);
  Video *v = calloc(1, sizeof *v);
  if (!v || !(v->path = strdup(path))) {
    free(v);
    fail("%s: expected memory for a video, found none left", path);
    return NULL;
  }
  v->process.out = v->process.err = -1; /* nothing to shut before it is started */
  if (start(&v->process, path, frames) && read_header(v)) return v;
  video_close(v);
  return NULL;
}

void video_close(Video *v) {
  if (!v) return;
  process_close(&v->process);
  free(v->path);
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
  if (got == 0) fail("%s: expected whole frames from ffmpeg, found the end", v->path);
  return got > 0;
}

int video_next(Video *v, Tensor **frame) {
  if (frame) *frame = NULL;
  if (!v->ended && !v->header_read && !read_header(v)) return 0;
  if (v->ended) return 1;
  size_t size = (size_t)v->width * (size_t)v->height * 3;
  if (!frame) {
    if (!pass_over(v, size)) return 0;
  } else {
    Tensor *t = tensor_new(U8, 3, (long[]){v->height, v->width, 3});
    if (!t) return 0;
    long got = process_read(&v->process, tensor_write(t), size);
    if (got != (long)size) {
      if (got >= 0) fail("%s: expected whole frames from ffmpeg, found the end", v->path);
      tensor_release(t);
      return 0;
    }
    *frame = t;
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

int video_count(const char *path, long *frames) {
  static const char *const nothing[] = {"-f", "null", "-progress", "pipe:1", "-", NULL};
  Process p;
  Source source;
  if (!source_open(&source, path)) return 0;
  source_close(&source);
  if (!start(&p, path, nothing)) return 0;
  int ok = read_count(&p, frames), status = ok ? process_wait(&p) : -1;
  process_close(&p);
  if (!ok || status < 0) return 0;
  if (*frames == 0 || status != 0) return complain(&p, path, "a video file");
  if (cut_short(&p)) return complain(&p, path, "a whole video file");
  return 1;
}
