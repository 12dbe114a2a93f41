/* Video files written through the ffmpeg program: .mp4 (H.264) and .gif (a palette of its own), whole or not at
 * all. Frames are uint8 H×W×3 RGB of one size, at an even rate. */
#ifndef IO_VIDEO_WRITE_H
#define IO_VIDEO_WRITE_H

#include "core/tensor.h"

typedef struct VideoWriter VideoWriter;

/* Begins a file; its kind by its name's end. rate: frames a second. NULL with a message. */
VideoWriter *video_writer_open(const char *path, double rate);
/* Appends a frame. The first tells the size; all others must have it. 0 with a message, also on Ctrl-C. */
int video_writer_add(VideoWriter *w, const Tensor *frame);
/* Ends the file and gives it its name; 0 with a message. The writer takes no more frames afterwards. */
int video_writer_commit(VideoWriter *w);
/* Gives up what was not committed: no file stays. Harmless for NULL. */
void video_writer_close(VideoWriter *w);

/* Whether a file of this name can be written. */
int video_writer_knows(const char *path);

#endif
