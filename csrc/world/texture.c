/* Canvases to textures with their pyramids, and sampling. What is painted on them is in pattern.c. */
#include "world/texture.h"

#include "core/bilinear.h"
#include "core/error.h"
#include "core/pool.h"

#include <stdint.h>

static unsigned char root_byte(float x) { return (unsigned char)(sqrtf(clampf(x, 0, 1)) * 255 + 0.5f); }

static void encode(Texture *t, const Canvas *c) {
  for (int i = 0; i < c->size * c->size; i++) {
    unsigned char *o = t->level[0] + 4 * (size_t)i;
    o[0] = root_byte(c->at[i].x), o[1] = root_byte(c->at[i].y), o[2] = root_byte(c->at[i].z);
    o[3] = (unsigned char)(clampf(c->gloss[i], 0, 1) * 255 + 0.5f);
  }
  for (int k = 1; k < TEXTURE_LEVELS && c->size >> k; k++) {
    int n = c->size >> k, m = n * 2;
    for (int y = 0; y < n; y++)
      for (int x = 0; x < n; x++)
        for (int b = 0; b < 4; b++) {
          const unsigned char *s = t->level[k - 1] + 4 * ((size_t)(2 * y) * (size_t)m + 2 * (size_t)x) + b;
          t->level[k][4 * ((size_t)y * (size_t)n + (size_t)x) + (size_t)b] =
              (unsigned char)((s[0] + s[4] + s[4 * m] + s[4 * m + 4] + 2) / 4);
        }
  }
}

Texture *texture_make(Arena *arena, Random *r, Pattern pattern, int size, V3 base, V3 accent) {
  Texture *t = arena_take(arena, sizeof *t);
  size_t n = (size_t)size * (size_t)size;
  V3 *at = scratch(0, n * (sizeof(V3) + sizeof(float)));
  if (!t || !at) return NULL;
  t->size = size;
  for (int k = 0; k < TEXTURE_LEVELS && size >> k; k++)
    if (!(t->level[k] = arena_take(arena, 4 * (n >> 2 * k)))) return NULL;
  Canvas c = {size, at, (float *)(at + n)};
  pattern_paint(&c, r, pattern, base, accent);
  encode(t, &c);
  return t;
}

V3 texture_at(const Texture *t, float u, float v, int level, float *gloss) {
  while (level > 0 && (level >= TEXTURE_LEVELS || !t->level[level])) level--;
  int n = t->size >> level, mask = n - 1;
  float x = u * (float)n - 0.5f, y = v * (float)n - 0.5f;
  int x0 = floor_int(x), y0 = floor_int(y);
  const unsigned char *base = t->level[level];
  long left = x0 & mask, right = (x0 + 1) & mask, above = (long)(y0 & mask) * n,
       below = (long)((y0 + 1) & mask) * n;
  Bilinear b = {{above + left, above + right, below + left, below + right}, {0}}; /* wrapped */
  bilinear_weights(&b, x - (float)x0, y - (float)y0);
  float out[4];
  for (int k = 0; k < 4; k++) out[k] = bilinear_bytes(&b, base + k, 4) * (1.0f / 255);
  *gloss = out[3];
  return v3(out[0] * out[0], out[1] * out[1], out[2] * out[2]);
}

V3 colour_any(Random *r, double s0, double s1, double v0, double v1) {
  float hue = 6 * (float)random_uniform(r), s = (float)random_range(r, s0, s1),
        v = (float)random_range(r, v0, v1);
  V3 c = v3(clampf(fabsf(hue - 3) - 1, 0, 1), clampf(2 - fabsf(hue - 2), 0, 1),
            clampf(2 - fabsf(hue - 4), 0, 1));
  c = scale(v3(1 - s * (1 - c.x), 1 - s * (1 - c.y), 1 - s * (1 - c.z)), v);
  return times(c, c); /* to linear light */
}

V3 colour_near(Random *r, V3 c, float amount) {
  float shift = (float)random_range(r, -amount, amount);
  return v3(clampf(c.x + shift + (float)random_range(r, -amount, amount) * 0.4f, 0.004f, 0.95f),
            clampf(c.y + shift + (float)random_range(r, -amount, amount) * 0.4f, 0.004f, 0.95f),
            clampf(c.z + shift + (float)random_range(r, -amount, amount) * 0.4f, 0.004f, 0.95f));
}
