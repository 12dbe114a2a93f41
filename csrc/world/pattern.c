/* The painters: each covers a canvas with one kind of surface out of noise, grids and random shapes. */
#include "world/noise.h"
#include "world/texture.h"

typedef struct Brush {
  Canvas *c;
  Random *r;
  uint32_t seed;
  V3 base, accent;
} Brush;

typedef V3 (*Texel)(const Brush *b, float u, float v, float *gloss, const float *how);

static void cover(const Brush *b, Texel f, const float *how) {
  int n = b->c->size;
  for (int y = 0; y < n; y++)
    for (int x = 0; x < n; x++) {
      size_t i = (size_t)y * (size_t)n + (size_t)x;
      b->c->gloss[i] = 0.5f;
      b->c->at[i] = f(b, ((float)x + 0.5f) / (float)n, ((float)y + 0.5f) / (float)n, &b->c->gloss[i], how);
    }
}

static float ranged(Random *r, double a, double b) { return (float)random_range(r, a, b); }
static int whole(Random *r, int a, int b) { return a + (int)random_below(r, b - a + 1); }

/* A rectangle (or the ellipse in it) with its middle at (cx, cy), wrapped around the canvas's borders. */
static void stamp(const Brush *b, float cx, float cy, float w, float h, float angle, int round, V3 colour,
                  float gloss) {
  int n = b->c->size;
  float c = cosf(angle), s = sinf(angle), reach = 0.5f * hypotf(w, h);
  int x0 = (int)floorf((cx - reach) * (float)n), x1 = (int)ceilf((cx + reach) * (float)n);
  int y0 = (int)floorf((cy - reach) * (float)n), y1 = (int)ceilf((cy + reach) * (float)n);
  for (int y = y0; y <= y1; y++)
    for (int x = x0; x <= x1; x++) {
      float dx = ((float)x + 0.5f) / (float)n - cx, dy = ((float)y + 0.5f) / (float)n - cy;
      float p = 2 * (dx * c + dy * s) / w, q = 2 * (dy * c - dx * s) / h;
      if (round ? p * p + q * q > 1 : fabsf(p) > 1 || fabsf(q) > 1) continue;
      size_t i = (size_t)(y & (n - 1)) * (size_t)n + (size_t)(x & (n - 1));
      b->c->at[i] = colour, b->c->gloss[i] = gloss;
    }
}

static V3 plain(const Brush *b, float u, float v, float *gloss, const float *how) {
  (void)gloss;
  float f = fractal2(b->seed, u * 5, v * 5, 5, 4, 0.6f) - 0.5f;
  return scale(b->base, 1 + how[0] * f);
}

static V3 wood(const Brush *b, float u, float v, float *gloss, const float *how) {
  float planks = how[0], row = floorf(v * planks), k = hash01(b->seed + (uint32_t)row * 31u);
  float x = u + k, edge = fabsf(v * planks - row - 0.5f) * 2;
  float warp = noise2(b->seed + 5, x * 3, v * planks * 2, 3 << 8) * 3;
  float y = v * planks * how[1] + warp;
  float grain = noise2(b->seed + 1 + (uint32_t)row, x * 4, y * 8, 1 << 12);
  float fine = noise2(b->seed + 9, u * 24, v * 400, 1 << 12);
  float dark = how[2] * (0.55f * grain + 0.3f * fine) + 0.35f * (k - 0.5f) + (edge > 0.97f ? 0.45f : 0);
  *gloss = 0.35f + 0.3f * grain;
  return mix3(b->base, b->accent, clampf(dark, 0, 1));
}

static V3 stone(const Brush *b, float u, float v, float *gloss, const float *how) {
  float warp = fractal2(b->seed, u * 4, v * 4, 4, 4, 0.55f);
  float vein = fabsf(sinf(2 * PI * (u + v + 2 * warp)));
  float speck = noise2(b->seed + 3, u * 180, v * 180, 180);
  float t = how[0] * ramp(0.25f, 0.0f, vein) + how[1] * ramp(0.62f, 0.85f, speck) + 0.3f * (warp - 0.5f);
  *gloss = 0.7f;
  return mix3(b->base, b->accent, clampf(t, 0, 1));
}

static V3 tiles(const Brush *b, float u, float v, float *gloss, const float *how) {
  float nx = how[0], ny = how[1], shift = how[2] * fmodf(floorf(v * ny), 2);
  float x = u * nx + shift, y = v * ny, fx = x - floorf(x), fy = y - floorf(y);
  float joint = how[3];
  int out = fx < joint * nx || fy < joint * ny;
  uint32_t cell = b->seed + (uint32_t)(int)fmodf(floorf(x), nx) * 131u + (uint32_t)(int)floorf(y) * 7919u;
  float f = fractal2(b->seed + 2, u * 12, v * 12, 12, 3, 0.6f) - 0.5f;
  *gloss = out ? 0.1f : 0.7f;
  return out ? scale(b->accent, 1 + 0.3f * f)
             : scale(b->base, 1 + how[4] * (hash01(cell) - 0.5f) + 0.25f * f);
}

static V3 check(const Brush *b, float u, float v, float *gloss, const float *how) {
  float x = u * how[0], y = v * how[0], fx = x - floorf(x), fy = y - floorf(y);
  float a = (fx < how[1]) + (fx > 0.7f && fx < 0.7f + how[2]),
        c = (fy < how[1]) + (fy > 0.7f && fy < 0.7f + how[2]);
  float thread = 0.9f + 0.2f * noise2(b->seed, u * 128, v * 128, 128);
  *gloss = 0.1f;
  return scale(mix3(b->base, b->accent, clampf(0.5f * (a + c), 0, 1)), thread);
}

static V3 stripes(const Brush *b, float u, float v, float *gloss, const float *how) {
  float x = (how[1] > 0 ? v : u) * how[0], f = x - floorf(x);
  float thread = 0.92f + 0.16f * noise2(b->seed, u * 128, v * 128, 128);
  *gloss = 0.15f;
  return scale(f < how[2] ? b->accent : b->base, thread);
}

static V3 knit(const Brush *b, float u, float v, float *gloss, const float *how) {
  float x = u * how[0], fx = x - floorf(x) - 0.5f, y = v * how[0] + 0.9f * fabsf(fx), fy = y - floorf(y);
  float loop = ramp(0.0f, 0.35f, fy) * ramp(1.0f, 0.6f, fy) * ramp(0.5f, 0.3f, fabsf(fx));
  float rough = noise2(b->seed, u * 160, v * 160, 160);
  *gloss = 0.05f;
  return scale(b->base, 0.5f + 0.45f * loop + 0.2f * rough);
}

static V3 terrazzo(const Brush *b, float u, float v, float *gloss, const float *how) {
  (void)how;
  float f = 1 + 0.12f * (fractal2(b->seed, u * 10, v * 10, 10, 3, 0.6f) - 0.5f);
  *gloss = 0.6f;
  return scale(b->base, f);
}

static V3 fruit(const Brush *b, float u, float v, float *gloss, const float *how) {
  float streak = noise2(b->seed, u * 24, v * 3, 24), side = noise2(b->seed + 1, u * 3, v * 3, 3);
  float speck = noise2(b->seed + 2, u * 90, v * 60, 90);
  V3 c = mix3(b->base, b->accent, clampf(how[0] * ramp(0.35f, 0.8f, 0.6f * side + 0.4f * streak), 0, 1));
  *gloss = 0.6f;
  return scale(c, 1 - how[1] * ramp(0.7f, 0.85f, speck));
}

static V3 metal(const Brush *b, float u, float v, float *gloss, const float *how) {
  (void)how;
  float line = noise2(b->seed, u * 6, v * 200, 200), soft = fractal2(b->seed + 1, u * 4, v * 4, 4, 3, 0.5f);
  *gloss = 0.9f;
  return scale(b->base, 0.75f + 0.25f * line + 0.3f * (soft - 0.5f));
}

static void chips(const Brush *b) {
  cover(b, terrazzo, NULL);
  V3 third = colour_near(b->r, mix3(b->base, b->accent, 0.5f), 0.2f);
  for (int i = 0; i < 500; i++) {
    float s = ranged(b->r, 0.006, 0.028);
    float x = ranged(b->r, 0, 1), y = ranged(b->r, 0, 1);
    stamp(b, x, y, s, s * ranged(b->r, 0.5, 1), ranged(b->r, 0, 3), 1, i % 3 ? b->accent : third, 0.6f);
  }
}

static void shapes(const Brush *b) {
  cover(b, plain, (const float[]){0.25f});
  int n = whole(b->r, 12, 34);
  for (int i = 0; i < n; i++) {
    V3 c =
        random_below(b->r, 3) ? colour_any(b->r, 0.1, 0.7, 0.2, 0.95) : colour_near(b->r, b->accent, 0.15f);
    float w = ranged(b->r, 0.04, 0.3), h = ranged(b->r, 0.04, 0.3), x = ranged(b->r, 0, 1),
          y = ranged(b->r, 0, 1);
    stamp(b, x, y, w, h, random_below(b->r, 2) ? 0 : ranged(b->r, 0, 3), (int)random_below(b->r, 2), c, 0.4f);
  }
}

/* Lines of something that looks like print from afar. */
static void print(const Brush *b, float x0, float y0, float width, float height, int lines, V3 ink) {
  float step = height / (float)lines;
  for (int i = 0; i < lines; i++) {
    float x = x0, end = x0 + width * ranged(b->r, 0.6, 1);
    while (x < end) {
      float w = step * ranged(b->r, 0.3, 1.6);
      stamp(b, x + w / 2, y0 + step * ((float)i + 0.5f), w, step * 0.55f, 0, 0, ink, 0.4f);
      x += w + step * ranged(b->r, 0.15, 0.5);
    }
  }
}

static void label(const Brush *b) {
  cover(b, plain, (const float[]){0.1f});
  V3 light = v3(0.82f, 0.8f, 0.74f),
     ink = random_below(b->r, 2) ? v3(0.02f, 0.02f, 0.03f) : colour_near(b->r, b->accent, 0.05f);
  V3 second = colour_any(b->r, 0.4, 0.95, 0.3, 0.95);
  int kind = (int)random_below(b->r, 3);
  if (kind == 0) stamp(b, 0.5f, 0.5f, 1.01f, ranged(b->r, 0.4, 0.6), 0, 0, light, 0.4f);
  if (kind == 1) stamp(b, 0.5f, ranged(b->r, 0.1, 0.3), 1.01f, ranged(b->r, 0.2, 0.4), 0, 0, b->accent, 0.5f);
  if (kind == 2)
    for (int i = 0; i < 3; i++)
      stamp(b, 0.5f, 0.12f + 0.1f * (float)i, 1.01f, 0.05f, 0, 0, i % 2 ? light : b->accent, 0.5f);
  for (int side = 0; side < 2; side++) { /* front and back */
    float x = 0.25f + 0.5f * (float)side;
    if (random_below(b->r, 3))
      stamp(b, x, 0.42f, ranged(b->r, 0.15, 0.34), ranged(b->r, 0.12, 0.3), 0, 1, second, 0.5f);
    else
      stamp(b, x, 0.42f, ranged(b->r, 0.2, 0.4), ranged(b->r, 0.1, 0.2), ranged(b->r, -0.3, 0.3), 0, second,
            0.5f);
    print(b, x - 0.17f, 0.36f, 0.34f, 0.12f, 1, kind ? light : ink);
    print(b, x - 0.18f, 0.62f, 0.36f, 0.2f, whole(b->r, 3, 6), kind ? light : ink);
  }
}

static void shelf(const Brush *b) {
  cover(b, plain, (const float[]){0.3f});
  int rows = whole(b->r, 3, 4);
  for (int i = 0; i < rows; i++) {
    float top = (float)i / (float)rows, height = 1.0f / (float)rows, x = 0;
    stamp(b, 0.5f, top + 0.5f * height, 1.01f, height, 0, 0, scale(b->base, 0.25f), 0.1f);
    while (x < 0.97f) {
      float w = ranged(b->r, 0.012, 0.045), h = height * ranged(b->r, 0.55, 0.88);
      if (random_below(b->r, 9) == 0) x += ranged(b->r, 0.02, 0.1);
      V3 c = colour_any(b->r, 0.1, 0.8, 0.15, 0.85);
      stamp(b, x + w / 2, top + height * 0.94f - h / 2, w, h, 0, 0, c, 0.3f);
      if (random_below(b->r, 2))
        stamp(b, x + w / 2, top + height * 0.94f - h * 0.7f, w, h * 0.12f, 0, 0, scale(c, 0.4f), 0.3f);
      x += w + 0.002f;
    }
    stamp(b, 0.5f, top + height * 0.97f, 1.01f, height * 0.06f, 0, 0, b->accent, 0.3f);
  }
}

static void dots(const Brush *b) {
  cover(b, plain, (const float[]){0.12f});
  int n = whole(b->r, 4, 9);
  float size = ranged(b->r, 0.3, 0.7) / (float)n;
  for (int j = 0; j < n; j++)
    for (int i = 0; i < n; i++)
      stamp(b, ((float)i + 0.5f * (float)(j % 2)) / (float)n, (float)j / (float)n, size, size, 0, 1,
            b->accent, 0.4f);
}

static void screen(const Brush *b) {
  cover(b, plain, (const float[]){0.06f});
  int keys = whole(b->r, 3, 4), rows = whole(b->r, 4, 8), lit = (int)random_below(b->r, 2);
  if (lit) stamp(b, 0.5f, 0.5f, 0.9f, 0.92f, 0, 0, b->accent, 0.9f);
  for (int j = 0; j < rows; j++)
    for (int i = 0; i < keys; i++) {
      V3 c = lit ? colour_any(b->r, 0.3, 0.9, 0.4, 0.95) : colour_near(b->r, v3(0.35f, 0.35f, 0.36f), 0.25f);
      stamp(b, 0.12f + 0.76f * ((float)i + 0.5f) / (float)keys,
            0.08f + 0.84f * ((float)j + 0.5f) / (float)rows, 0.4f / (float)keys, 0.45f / (float)rows, 0, !lit,
            c, 0.6f);
    }
}

void pattern_paint(Canvas *c, Random *r, Pattern pattern, V3 base, V3 accent) {
  Brush brush = {c, r, random_u32(r), base, accent}, *b = &brush;
  float how[5] = {0};
  switch (pattern) {
  case PATTERN_WOOD:
    how[0] = (float)whole(r, 2, 6), how[1] = ranged(r, 0.5, 1.4), how[2] = ranged(r, 0.5, 1.2);
    cover(b, wood, how);
    break;
  case PATTERN_STONE: how[0] = ranged(r, 0, 0.8), how[1] = ranged(r, 0, 0.9), cover(b, stone, how); break;
  case PATTERN_TILES:
    how[0] = (float)whole(r, 3, 8), how[1] = how[0], how[3] = 0.008f, how[4] = ranged(r, 0.05, 0.3);
    cover(b, tiles, how);
    break;
  case PATTERN_BRICK:
    how[0] = (float)whole(r, 3, 5), how[1] = 2 * (float)whole(r, 4, 6), how[2] = 0.5f, how[3] = 0.01f,
    how[4] = 0.5f;
    cover(b, tiles, how);
    break;
  case PATTERN_CHECK:
    how[0] = (float)whole(r, 3, 12), how[1] = ranged(r, 0.3, 0.5), how[2] = ranged(r, 0, 0.2);
    cover(b, check, how);
    break;
  case PATTERN_STRIPES:
    how[0] = (float)whole(r, 4, 20), how[1] = (float)random_below(r, 2), how[2] = ranged(r, 0.15, 0.5);
    cover(b, stripes, how);
    break;
  case PATTERN_KNIT: how[0] = (float)whole(r, 14, 30), cover(b, knit, how); break;
  case PATTERN_TERRAZZO: chips(b); break;
  case PATTERN_SHAPES: shapes(b); break;
  case PATTERN_LABEL: label(b); break;
  case PATTERN_SHELF: shelf(b); break;
  case PATTERN_FRUIT: how[0] = ranged(r, 0.2, 1), how[1] = ranged(r, 0.05, 0.4), cover(b, fruit, how); break;
  case PATTERN_METAL: cover(b, metal, how); break;
  case PATTERN_DOTS: dots(b); break;
  case PATTERN_SCREEN: screen(b); break;
  default: how[0] = ranged(r, 0.05, 0.35), cover(b, plain, how); break;
  }
}
