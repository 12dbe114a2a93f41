/* Frames into a pipe: see video_write.h. ffmpeg writes into a file that a Sink has made, so that what is not
 * whole is never seen under the name that was asked for. */
#include "io/video_write.h"

#include "core/error.h"
#include "io/complaint.h"
#include "io/file.h"
#include "io/process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { ARGUMENTS = 40 };

typedef struct Kind {
  const char *end;
  const char *sink[12];
} Kind;

/* H.264 halves its colours: sizes are padded to even ones. */
static const Kind kinds[] = {
    {".mp4",
     {"-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "18",
      "-movflags", "+faststart", "-f", "mp4"}},
    {".gif", {"-lavfi", "split[a][b];[a]palettegen[p];[b][p]paletteuse", "-f", "gif"}},
};

struct VideoWriter {
  Sink sink;
  Process process;
  Complaint complaint;
  const Kind *kind;
  double rate;
  long width, height; /* 0 before the first frame */
  int open;           /* the sink is, that is */
};

static const Kind *kind_of_name(const char *path) {
  size_t size = strlen(path);
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    size_t end = strlen(kinds[i].end);
    if (size > end && strcasecmp(path + size - end, kinds[i].end) == 0) return &kinds[i];
  }
  return NULL;
}

int video_writer_knows(const char *path) { return kind_of_name(path) != NULL; }

VideoWriter *video_writer_open(const char *path, double rate) {
  const Kind *kind = kind_of_name(path);
  if (!kind) {
    fail("%s: expected a .mp4 or .gif file to write, found another", path);
    return NULL;
  }
  if (!(rate >= 0.01 && rate <= 1000)) {
    fail("%s: expected 0.01 to 1000 frames a second, found %g", path, rate);
    return NULL;
  }
  VideoWriter *w = calloc(1, sizeof *w);
  if (!w) {
    fail("%s: expected memory for a video, found none left", path);
    return NULL;
  }
  w->kind = kind;
  w->rate = rate;
  w->process.in = w->process.out = w->process.err = -1;
  if ((w->open = sink_open(&w->sink, path))) return w;
  video_writer_close(w);
  return NULL;
}

/* Starts ffmpeg for frames of this size. */
static int start(VideoWriter *w, long width, long height) {
  char size[48], rate[32], *url = NULL;
  const char *argv[ARGUMENTS] = {"ffmpeg",
                                 "-nostdin",
                                 "-hide_banner",
                                 "-v",
                                 "level+warning",
                                 "-y",
                                 "-threads",
                                 "2",
                                 "-f",
                                 "rawvideo",
                                 "-pixel_format",
                                 "rgb24",
                                 "-video_size",
                                 size,
                                 "-framerate",
                                 rate,
                                 "-i",
                                 "pipe:0",
                                 "-an",
                                 "-threads",
                                 "2"};
  int n = 0;
  while (argv[n]) n++;
  snprintf(size, sizeof size, "%ldx%ld", width, height);
  snprintf(rate, sizeof rate, "%.6g", w->rate);
  if (asprintf(&url, "file:%s", w->sink.temporary) < 0)
    return fail("%s: expected memory for its name, found none left", w->sink.path);
  for (int i = 0; i < 12 && w->kind->sink[i]; i++) argv[n++] = w->kind->sink[i];
  argv[n] = url;
  int ok = process_start_fed(&w->process, (char *const *)(uintptr_t)argv, complaint_hear, &w->complaint);
  free(url);
  w->width = width;
  w->height = height;
  return ok;
}

/* ffmpeg has ended with this status: 1 when it was content. */
static int judge(const VideoWriter *w, int status) {
  if (status == 0) return 1;
  if (status < 0) return 0;
  return fail("%s: expected a video from ffmpeg, found: %s", w->sink.path,
              w->complaint.error[0] ? w->complaint.error : "an error that it does not name");
}

int video_writer_add(VideoWriter *w, const Tensor *frame) {
  if (!w->open) return fail("video: expected an open file, found a finished one");
  if (frame->dtype != U8 || frame->rank != 3 || frame->shape[2] != 3 || frame->size == 0)
    return fail("%s: expected frames of uint8 HxWx3, found another tensor", w->sink.path);
  long height = frame->shape[0], width = frame->shape[1];
  if (!w->width && !start(w, width, height)) return 0;
  if (width != w->width || height != w->height)
    return fail("%s: expected frames of %ldx%ld as the first, found %ldx%ld", w->sink.path, w->width,
                w->height, width, height);
  if (process_write(&w->process, tensor_data(frame), tensor_bytes(frame))) return 1;
  if (interrupted) return 0;
  int status = process_wait(&w->process); /* why it reads no more */
  return status > 0 ? judge(w, status) : 0;
}

int video_writer_commit(VideoWriter *w) {
  if (!w->open) return fail("video: expected an open file, found a finished one");
  if (!w->width) return fail("%s: expected frames to write, found none", w->sink.path);
  if (!judge(w, process_wait(&w->process))) return 0;
  w->open = 0;
  return sink_commit(&w->sink);
}

void video_writer_close(VideoWriter *w) {
  if (!w) return;
  process_close(&w->process);
  if (w->open) sink_abort(&w->sink);
  free(w);
}
