/* Video files through the ffmpeg program: frames in presentation order, each exactly once (none dropped or
 * doubled to keep a rate), turned as the rotation metadata says. Frame 0 is the first that the decoder gives
 * out, which is also how OpenCV counts. A file of which frames are lost, patched up or missing is refused. */
#ifndef IO_VIDEO_H
#define IO_VIDEO_H

#include "core/tensor.h"
#include "io/complaint.h"
#include "io/process.h"

typedef struct Video {
  Process process;
  Complaint complaint;
  char *url;        /* file:PATH */
  const char *path; /* within it */
  long width, height;
  long next;       /* the number of the frame that video_next gives */
  int header_read; /* the header of frame `next` was taken from the pipe already */
  int ended;
} Video;

/* Starts decoding; width and height are known afterwards. NULL with a message for a missing, damaged or
 * foreign file. */
Video *video_open(const char *path);
void video_close(Video *v);
/* Of a damaged file no frame is given from the damage on.
 * 1 with the next frame (uint8 H×W×3 RGB) in *frame; 1 with NULL at the end; 0 with a message. frame == NULL:
 * the frame is passed over, and v->ended tells of the end. */
int video_next(Video *v, Tensor **frame);

/* Decodes the whole file and counts. 0 with a message when it is no video, is cut short or damaged; the
 * message names the frame near which that was found. */
int video_count(const char *path, long *frames);

/* Frames a second as the file tells; 0 where it does not. The file need not be whole: only its head is read.
 * 0 with a message when it is no video. */
int video_rate(const char *path, double *rate);

enum { VIDEO_HEAD = 32 }; /* bytes that a head never exceeds */

/* The head "P6 W H 255" of a picture from ffmpeg, of which `size` bytes are there: its length in bytes; 0
 * when it goes on beyond them, -1 when it is none (sizes of no picture included). */
int video_head(const char *bytes, size_t size, long *width, long *height);

#endif
