/* Whether a video file is as long as it says. ffmpeg reads some containers up to where they end and calls
 * that the end; each of these tells its size, or marks its last part, in a few bytes. */
#ifndef IO_CONTAINER_H
#define IO_CONTAINER_H

/* 0 with a message when the file is shorter than its container says. Containers that say nothing, or are
 * unknown here, pass. */
int container_whole(const char *path);

#endif
