/* Textures painted once per clip: squares of 2^k texels that repeat, with a pyramid of halved copies. Colours
 * are linear light, stored as square roots in bytes (so that decoding is one multiplication); the fourth byte
 * is gloss. */
#ifndef WORLD_TEXTURE_H
#define WORLD_TEXTURE_H

#include "core/random.h"
#include "world/mesh.h"

enum { TEXTURE_LEVELS = 10 };

typedef struct Texture {
  int size;                             /* a power of two */
  unsigned char *level[TEXTURE_LEVELS]; /* (size >> k)^2 x 4 */
} Texture;

typedef enum Pattern {
  PATTERN_PLAIN, /* paint, plastic: faint mottling */
  PATTERN_WOOD,  /* planks */
  PATTERN_STONE, /* marble or granite */
  PATTERN_TILES, /* with joints; every tile a little different */
  PATTERN_CHECK, /* woven check */
  PATTERN_STRIPES,
  PATTERN_KNIT,
  PATTERN_BRICK,
  PATTERN_TERRAZZO, /* chips of three colours */
  PATTERN_SHAPES,   /* overlapping rectangles and discs: posters, clutter */
  PATTERN_LABEL,    /* packaging: bands, a logo, lines of print */
  PATTERN_SHELF,    /* rows of book spines */
  PATTERN_FRUIT,    /* streaks and speckles */
  PATTERN_METAL,    /* brushed */
  PATTERN_DOTS,
  PATTERN_SCREEN, /* a phone's or remote's face: dark with keys or icons */
  PATTERNS
} Pattern;

/* A texture in the two colours given and shades of them. NULL with a message when memory is short. */
Texture *texture_make(Arena *arena, Random *r, Pattern pattern, int size, V3 base, V3 accent);

/* The colour and gloss (0..1) at (u, v), wrapped; `level` picks the pyramid's level (clamped), bilinear in
 * it. */
V3 texture_at(const Texture *t, float u, float v, int level, float *gloss);

/* A random colour in linear light: saturation and value (brightness) in the given ranges, of any hue. */
V3 colour_any(Random *r, double s0, double s1, double v0, double v1);
/* One like `c`, shifted by up to `amount` in each channel. */
V3 colour_near(Random *r, V3 c, float amount);

/* What the painters draw on. */
typedef struct Canvas {
  int size;
  V3 *at;
  float *gloss;
} Canvas;
void pattern_paint(Canvas *c, Random *r, Pattern pattern, V3 base, V3 accent);

#endif
