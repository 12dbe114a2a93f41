/* Video files through the ffmpeg program: frames in presentation order, each exactly once (none dropped or
 * doubled to keep a rate), turned as the rotation metadata says. Frame 0 is the first that the decoder gives
 * out, which is also how OpenCV counts. */
#ifndef IO_VIDEO_H
#define IO_VIDEO_H

#include "core/tensor.h"
#include "io/process.h"

typedef struct Video {
  Process process;
  char *path;
  long width, height;
  long next;       /* the number of the frame that video_next gives */
  int header_read; /* the header of frame `next` was taken from the pipe already */
  int ended;
} Video;

/* Starts decoding; width and height are known afterwards. NULL with a message for a missing, damaged or
 * foreign file. */
Video *video_open(const char *path);
void video_close(Video *v);
/* 1 with the next frame (uint8 H×W×3 RGB) in *frame; 1 with NULL at the end; 0 with a message. frame == NULL:
 * the frame is passed over, and v->ended tells of the end. */
int video_next(Video *v, Tensor **frame);

/* Decodes the whole file and counts. 0 with a message when it is no video or is cut short. */
int video_count(const char *path, long *frames);

#endif
