/* Value noise: hashed lattice values, blended by a smooth step. */
#include "world/noise.h"

static float smooth(float t) { return t * t * (3 - 2 * t); }

float noise2(uint32_t seed, float x, float y, int period) {
  int ix = floor_int(x), iy = floor_int(y);
  float fx = (float)ix, fy = (float)iy;
  uint32_t x0 = (uint32_t)(((ix % period) + period) % period),
           y0 = (uint32_t)(((iy % period) + period) % period);
  uint32_t x1 = x0 + 1 == (uint32_t)period ? 0 : x0 + 1, y1 = y0 + 1 == (uint32_t)period ? 0 : y0 + 1;
  uint32_t r0 = hash32(seed + y0 * 0x9E3779B9u), r1 = hash32(seed + y1 * 0x9E3779B9u);
  float u = smooth(x - fx), v = smooth(y - fy);
  return mixf(mixf(hash01(r0 + x0), hash01(r0 + x1), u), mixf(hash01(r1 + x0), hash01(r1 + x1), u), v);
}

float fractal2(uint32_t seed, float x, float y, int period, int octaves, float gain) {
  float sum = 0, total = 0, strength = 1;
  for (int i = 0; i < octaves; i++) {
    sum += strength * noise2(seed + (uint32_t)i * 77u, x, y, period);
    total += strength;
    x *= 2, y *= 2, period *= 2, strength *= gain;
  }
  return sum / total;
}

float noise3(uint32_t seed, V3 p) {
  int ix = floor_int(p.x), iy = floor_int(p.y), iz = floor_int(p.z);
  float fx = (float)ix, fy = (float)iy, fz = (float)iz;
  uint32_t x = (uint32_t)ix, y = (uint32_t)iy, z = (uint32_t)iz;
  float u = smooth(p.x - fx), v = smooth(p.y - fy), w = smooth(p.z - fz), c[2];
  for (uint32_t k = 0; k < 2; k++) {
    uint32_t plane = hash32(seed + (z + k) * 0x85EBCA6Bu);
    uint32_t r0 = hash32(plane + y * 0x9E3779B9u), r1 = hash32(plane + (y + 1) * 0x9E3779B9u);
    c[k] = mixf(mixf(hash01(r0 + x), hash01(r0 + x + 1), u), mixf(hash01(r1 + x), hash01(r1 + x + 1), u), v);
  }
  return mixf(c[0], c[1], w);
}

float wander(uint32_t seed, float t) {
  int whole = floor_int(t);
  float u = t - (float)whole;
  uint32_t i = (uint32_t)whole;
  float a = hash01(hash32(seed) + i), b = hash01(hash32(seed) + i + 1);
  float s = u * u * u * (u * (u * 6 - 15) + 10);
  return 2 * mixf(a, b, s) - 1;
}
