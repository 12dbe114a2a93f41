/* Surface nets: the zero surface of a distance function as a closed mesh with evenly spaced vertices. Blocks
 * of the grid that are further from the surface than their own radius are never sampled, so that the cost
 * follows the surface and not the volume. */
#include "world/mesh.h"

#include "core/error.h"
#include "core/memory.h"

#include <string.h>

enum { SIDE = 8 };

typedef struct Grid {
  V3 low;
  float step;
  int n[3]; /* samples per axis */
  float *d; /* distances; +1 where never sampled outside, -1 inside */
  int *at;  /* vertex of the cell whose low corner this is, or -1; cells of far blocks have none */
} Grid;

static size_t place(const Grid *g, int x, int y, int z) {
  return ((size_t)z * (size_t)g->n[1] + (size_t)y) * (size_t)g->n[0] + (size_t)x;
}

static V3 position(const Grid *g, float x, float y, float z) {
  return add(g->low, scale(v3(x, y, z), g->step));
}

static void sample(const Grid *g, Distance f, const void *what) {
  float radius = 0.87f * SIDE * g->step;
  for (int z = 0; z < g->n[2]; z += SIDE)
    for (int y = 0; y < g->n[1]; y += SIDE)
      for (int x = 0; x < g->n[0]; x += SIDE) {
        float half = (SIDE - 1) * 0.5f;
        float centre = f(what, position(g, (float)x + half, (float)y + half, (float)z + half));
        int near = fabsf(centre) < radius * 1.5f; /* blends steepen the distance a little */
        for (int k = z; k < z + SIDE && k < g->n[2]; k++)
          for (int j = y; j < y + SIDE && j < g->n[1]; j++)
            for (int i = x; i < x + SIDE && i < g->n[0]; i++)
              g->d[place(g, i, j, k)] = near         ? f(what, position(g, (float)i, (float)j, (float)k))
                                        : centre > 0 ? 1.0f
                                                     : -1.0f;
      }
}

/* The mean of the crossings on the twelve edges of the cell at (x, y, z);
 * 0 when the surface misses the cell. */
static int crossing(const Grid *g, int x, int y, int z, V3 *p) {
  static const unsigned char edge[12][2] = {{0, 1}, {2, 3}, {4, 5}, {6, 7}, {0, 2}, {1, 3},
                                            {4, 6}, {5, 7}, {0, 4}, {1, 5}, {2, 6}, {3, 7}};
  float d[8];
  int inside = 0;
  for (int c = 0; c < 8; c++) {
    d[c] = g->d[place(g, x + (c & 1), y + (c >> 1 & 1), z + (c >> 2))];
    inside += d[c] < 0;
  }
  if (inside == 0 || inside == 8) return 0;
  V3 sum = {0, 0, 0};
  float count = 0;
  for (int e = 0; e < 12; e++) {
    int a = edge[e][0], b = edge[e][1];
    if ((d[a] < 0) == (d[b] < 0)) continue;
    V3 pa = v3((float)(a & 1), (float)(a >> 1 & 1), (float)(a >> 2));
    V3 pb = v3((float)(b & 1), (float)(b >> 1 & 1), (float)(b >> 2));
    sum = add(sum, mix3(pa, pb, d[a] / (d[a] - d[b])));
    count += 1;
  }
  *p = position(g, (float)x + sum.x / count, (float)y + sum.y / count, (float)z + sum.z / count);
  return 1;
}

/* Two triangles around every grid edge that the surface crosses. */
static void faces(const Grid *g, Mesh *m) {
  const size_t stride[3] = {1, (size_t)g->n[0], (size_t)g->n[0] * (size_t)g->n[1]};
  for (int z = 1; z + 1 < g->n[2]; z++)
    for (int y = 1; y + 1 < g->n[1]; y++)
      for (int x = 1; x + 1 < g->n[0]; x++) {
        size_t at = place(g, x, y, z);
        for (int axis = 0; axis < 3; axis++) {
          int in = g->d[at] < 0;
          if (in == (g->d[at + stride[axis]] < 0)) continue;
          size_t u = stride[(axis + 1) % 3], v = stride[(axis + 2) % 3];
          int a = g->at[at], b = g->at[at - u], c = g->at[at - u - v], d = g->at[at - v];
          if (a < 0 || b < 0 || c < 0 || d < 0) continue;
          if (in)
            mesh_triangle(m, a, b, c), mesh_triangle(m, a, c, d);
          else
            mesh_triangle(m, a, c, b), mesh_triangle(m, a, d, c);
        }
      }
}

static void collect(const Grid *g, Mesh *m) {
  for (int z = 0; z + 1 < g->n[2]; z++)
    for (int y = 0; y + 1 < g->n[1]; y++)
      for (int x = 0; x + 1 < g->n[0]; x++) {
        V3 p;
        size_t at = place(g, x, y, z);
        g->at[at] = -1;
        if (m->vertices < m->max_vertices && fabsf(g->d[at]) < 1 && crossing(g, x, y, z, &p))
          g->at[at] = mesh_vertex(m, p, 0, 0);
      }
}

int mesh_surface(Mesh *m, Arena *arena, Distance f, const void *what, V3 low, V3 high, float step) {
  Grid g = {.low = low, .step = step};
  const float size[3] = {high.x - low.x, high.y - low.y, high.z - low.z};
  for (int i = 0; i < 3; i++) g.n[i] = (int)(size[i] / step) + 2;
  size_t count = (size_t)g.n[0] * (size_t)g.n[1] * (size_t)g.n[2];
  g.d = memory_take(count * sizeof *g.d);
  g.at = memory_take(count * sizeof *g.at);
  int ok = g.d && g.at;
  if (ok) {
    memset(g.at, 0xff, count * sizeof *g.at);
    sample(&g, f, what);
    V3 p;
    int vertices = 0;
    for (int z = 0; z + 1 < g.n[2]; z++)
      for (int y = 0; y + 1 < g.n[1]; y++)
        for (int x = 0; x + 1 < g.n[0]; x++)
          vertices += fabsf(g.d[place(&g, x, y, z)]) < 1 && crossing(&g, x, y, z, &p);
    ok = mesh_start(m, arena, vertices + 1,
                    vertices * 3); /* a closed net has about two triangles per vertex */
  }
  if (ok) {
    collect(&g, m);
    faces(&g, m);
    mesh_normals(m);
  }
  memory_give(g.d, count * sizeof *g.d);
  memory_give(g.at, count * sizeof *g.at);
  return ok;
}
