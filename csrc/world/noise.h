/* Value noise on hashed lattices: smooth, the same on every machine, in 0 .. 1. */
#ifndef WORLD_NOISE_H
#define WORLD_NOISE_H

#include "world/vec.h"

#include <stdint.h>

/* A well mixed word from a word (Steele, Lea and Flood's finaliser of splitmix, in 32 bits). */
static inline uint32_t hash32(uint32_t x) {
  x = (x ^ x >> 16) * 0x7feb352du;
  x = (x ^ x >> 15) * 0x846ca68bu;
  return x ^ x >> 16;
}
static inline float hash01(uint32_t x) { return (float)(hash32(x) >> 8) * (1.0f / 16777216.0f); }

/* Two-dimensional noise that repeats every `period` cells. */
float noise2(uint32_t seed, float x, float y, int period);
/* The sum of `octaves` of it, each twice as fine and `gain` as strong; scaled back to 0 .. 1. */
float fractal2(uint32_t seed, float x, float y, int period, int octaves, float gain);
float noise3(uint32_t seed, V3 p);
/* One-dimensional, for motion: about -1 .. 1, smooth in its second derivative too. */
float wander(uint32_t seed, float t);

#endif
