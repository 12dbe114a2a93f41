/* Pictures of a scene: rasterised triangles over a ray-traced room, shadows from two depth maps, and the
 * accumulation of jittered moments (Haeberli and Akeley 1990), which gives anti-aliasing and motion blur at
 * once. */
#ifndef WORLD_RENDER_H
#define WORLD_RENDER_H

#include "world/scene.h"

/* A vertex on the picture: iz is 1/depth (or, in a light's map, nearness to the light), linear over the
 * picture. */
typedef struct Point {
  float x, y, iz;
} Point;

enum { SHADOW = 448, SHADOW_BLOCK = 16, SHADOW_TAPS = 5 };

/* A depth map seen from a light: orthographic, SHADOW² texels over 2·half metres around `centre`. */
typedef struct Shadow {
  Pose view; /* z towards the light, at the centre */
  float half;
  float *near;  /* largest z of the surfaces seen, -1e9 where nothing is */
  float *block; /* the largest near around blocks of texels: most of the picture is lit and need not look
                   closer */
  float reach;  /* metres that lookups may go sideways */
  int taps;
  float tap[SHADOW_TAPS][2]; /* offsets in texels */
} Shadow;

/* Buffers of one thread that renders one clip. */
typedef struct Render {
  const Scene *scene;
  int (*triangle)[3];     /* of all bodies, vertex numbers in the scene's arrays */
  unsigned char *body_of; /* of each triangle */
  float *density;         /* of each triangle: texture repeats per metre */
  V3 *p, *n;              /* posed vertices */
  Point *point;
  float *depth; /* H×W, 1/depth */
  int *seen;    /* H×W, triangle or -1 for the room */
  float *light; /* H×W×3, accumulated linear light */
  float *spare; /* H×W×3 */
  Shadow key, top;
} Render;

int render_start(Render *r, Scene *s); /* buffers from the scene's arena */

/* Which triangle each pixel sees through `camera`, for vertices p; (dx, dy) moves the pixel centres. */
void render_visible(Render *r, const V3 *p, const Camera *camera, float dx, float dy);

/* Perspective-correct barycentric coordinates of the pixel centre (x, y) in triangle t, of r->point. */
void render_bary(const Render *r, int t, float x, float y, float b[3]);

/* The room's surface on the ray through (x, y): its world position, normal,
 * material and texture coordinates. */
V3 room_hit(const Scene *s, const Camera *camera, float x, float y, V3 *normal, const Material **material,
            float uv[2]);

/* Draws the shadow maps for r->p. */
void shadow_draw(Render *r, Shadow *s);
void shadow_place(Shadow *s, V3 towards, V3 centre, float half, float reach);
/* Sets the lookups for one moment: `taps` of them over a radius in metres, other ones in each phase. */
void shadow_aim(Shadow *s, float radius, int taps, int phase);
/* How much of the light reaches p (0..1). */
float shadow_light(const Shadow *s, V3 p, V3 n);

/* The picture of frame t, 8-bit RGB H×W×3 (gamma-encoded). */
void render_frame(Render *r, int t, unsigned char *rgb);

/* Linear light H×W×3 in r->light, through lens and sensor, to bytes. */
void film_develop(Render *r, int t, unsigned char *rgb);

#endif
