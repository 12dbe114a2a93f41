/* Triangle meshes of the generated world and the arena that owns them. A mesh has a fixed topology for the
 * whole clip; who moves it fills an array of vertex positions per moment. That is all that exact flow needs:
 * a pixel sees a triangle at barycentric coordinates, and the same coordinates at another moment give where
 * it went. */
#ifndef WORLD_MESH_H
#define WORLD_MESH_H

#include "world/vec.h"

#include <stddef.h>

/* Everything a clip needs lives in one arena and is freed at once. */
typedef struct Arena {
  struct ArenaBlock *blocks;
  size_t used, size; /* of the newest block */
} Arena;

/* Zeroed memory until arena_free; NULL with a message when memory is short. */
void *arena_take(Arena *arena, size_t bytes);
void arena_free(Arena *arena);

typedef struct Mesh {
  int vertices, triangles;
  int max_vertices, max_triangles;
  V3 *p, *n;      /* position and unit normal at rest, in the mesh's own coordinates */
  float (*uv)[2]; /* texture coordinates, wrapped */
  int (*t)[3];    /* counter-clockwise seen from outside */
  V3 *paint;      /* skin only: colour (linear light), else NULL */
  float *nail;    /* skin only: > 0 within a finger nail, else NULL */
} Mesh;

/* Room for so many vertices and triangles. 0 with a message when memory is short. */
int mesh_start(Mesh *m, Arena *arena, int vertices, int triangles);
int mesh_vertex(Mesh *m, V3 p, float u, float v); /* its index; callers reserved enough room */
void mesh_triangle(Mesh *m, int a, int b, int c);
void mesh_normals(Mesh *m); /* area-weighted mean of the faces around each vertex, at rest */

/* A surface of revolution about y: `n` points (radius, height) from bottom to top along the outside; radii of
 * 0 close it. Sharp corners of the profile want doubled points. u runs around, v along from 0 to 1. */
int mesh_revolve(Mesh *m, Arena *arena, const float (*profile)[2], int n, int around);

/* A box of half sizes h with edges rounded by `r`; texture by face (u, v in 0..1 on each). */
int mesh_box(Mesh *m, Arena *arena, V3 h, float r);

/* A tube through `n` centres with elliptical sections (half widths a in the direction `side`, b across),
 * closed by flat caps; u around, v along. `side` is made perpendicular ring by ring. */
int mesh_tube(Mesh *m, Arena *arena, const V3 *centre, const float *a, const float *b, int n, V3 side,
              int around);

/* A sheet of nx by ny quads in the plane z = 0, x and y in -0.5..0.5 times the size. */
int mesh_sheet(Mesh *m, Arena *arena, float width, float height, int nx, int ny);

/* An ellipsoid around c with half axes h. */
int mesh_ellipsoid(Mesh *m, Arena *arena, V3 c, V3 h, int around);

/* The zero surface of a signed distance (metres, negative inside; at most 1 per metre in slope) within a box,
 * by surface nets (Gibson 1998) on a grid of the given step. 0 with a message when memory is short. */
typedef float (*Distance)(const void *what, V3 p);
int mesh_surface(Mesh *m, Arena *arena, Distance f, const void *what, V3 low, V3 high, float step);

#endif
