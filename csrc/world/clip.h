/* One clip of the world as files of a data folder. */
#ifndef WORLD_CLIP_H
#define WORLD_CLIP_H

#include <stdint.h>

enum { WORLD_FLOW = 1, WORLD_PERSON = 2, WORLD_VERTICES = 4 };

typedef struct WorldOptions {
  const char *out; /* the data folder */
  uint64_t seed;
  int width, height, frames;
  int mask_every; /* masks of each so manieth frame, the first in the middle of so many; 0: of none */
  unsigned truth; /* of WORLD_*: what is written below truth/ */
} WorldOptions;

/* "s<seed>_<index>", with the index in seven digits or more. */
void world_name(const WorldOptions *o, uint64_t index, char name[64]);

/* Writes clips/NAME, masks/NAME, hands_json/NAME.json and truth/…: the clip's frames come last, by one
 * rename, so that a clip that is listed is whole. Depends on seed and index alone. 0 with a message. */
int world_clip(const WorldOptions *o, uint64_t index);

/* Several clips on all threads: those among first .. first+count-1 that are not there yet.
 * 0 with a message. */
int world_clips(const WorldOptions *o, uint64_t first, long count);

#endif
