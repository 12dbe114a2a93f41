/* The arena and the mesh builders: revolution, rounded box, tube, sheet, ellipsoid. Each counts its vertices
 * exactly before it takes them. Assumes sane sizes from the callers in this folder; checks memory alone. */
#include "world/mesh.h"

#include "core/error.h"
#include "core/memory.h"

#include <string.h>

enum { BLOCK = 4 << 20, HEAD = 64 };

struct ArenaBlock {
  struct ArenaBlock *next;
  size_t bytes;
};

void *arena_take(Arena *arena, size_t bytes) {
  bytes = (bytes + 63) / 64 * 64;
  if (!arena->blocks || bytes > arena->size - arena->used) {
    size_t size = HEAD + (bytes > BLOCK - HEAD ? bytes : BLOCK - HEAD);
    struct ArenaBlock *block = memory_take(size);
    if (!block) return NULL;
    block->next = arena->blocks, block->bytes = size;
    arena->blocks = block, arena->size = size, arena->used = HEAD;
  }
  void *p = (char *)arena->blocks + arena->used;
  arena->used += bytes;
  return memset(p, 0, bytes);
}

void arena_free(Arena *arena) {
  while (arena->blocks) {
    struct ArenaBlock *block = arena->blocks;
    arena->blocks = block->next;
    memory_give(block, block->bytes);
  }
  arena->used = arena->size = 0;
}

int mesh_start(Mesh *m, Arena *arena, int vertices, int triangles) {
  memset(m, 0, sizeof *m);
  m->max_vertices = vertices, m->max_triangles = triangles;
  m->p = arena_take(arena, (size_t)vertices * sizeof *m->p);
  m->n = arena_take(arena, (size_t)vertices * sizeof *m->n);
  m->uv = arena_take(arena, (size_t)vertices * sizeof *m->uv);
  m->t = arena_take(arena, (size_t)triangles * sizeof *m->t);
  return m->p && m->n && m->uv && m->t;
}

int mesh_vertex(Mesh *m, V3 p, float u, float v) {
  int i = m->vertices++;
  m->p[i] = p, m->uv[i][0] = u, m->uv[i][1] = v;
  return i;
}

void mesh_triangle(Mesh *m, int a, int b, int c) {
  int *t = m->t[m->triangles++];
  t[0] = a, t[1] = b, t[2] = c;
}

/* a b are one edge, d c the one beside it. */
static void quad(Mesh *m, int a, int b, int c, int d) {
  mesh_triangle(m, a, b, c);
  mesh_triangle(m, a, c, d);
}

void mesh_normals(Mesh *m) {
  memset(m->n, 0, (size_t)m->vertices * sizeof *m->n);
  for (int i = 0; i < m->triangles; i++) {
    const int *t = m->t[i];
    V3 face = cross(sub(m->p[t[1]], m->p[t[0]]), sub(m->p[t[2]], m->p[t[0]]));
    for (int k = 0; k < 3; k++) m->n[t[k]] = add(m->n[t[k]], face);
  }
  for (int i = 0; i < m->vertices; i++) m->n[i] = unit(m->n[i]);
}

int mesh_revolve(Mesh *m, Arena *arena, const float (*profile)[2], int n, int around) {
  if (!mesh_start(m, arena, n * (around + 1), (n - 1) * around * 2)) return 0;
  float length = 0, total = 1e-9f;
  for (int i = 1; i < n; i++)
    total += hypotf(profile[i][0] - profile[i - 1][0], profile[i][1] - profile[i - 1][1]);
  for (int i = 0; i < n; i++) {
    if (i) length += hypotf(profile[i][0] - profile[i - 1][0], profile[i][1] - profile[i - 1][1]);
    for (int k = 0; k <= around; k++) {
      float u = (float)k / (float)around, angle = 2 * PI * u;
      mesh_vertex(m, v3(profile[i][0] * sinf(angle), profile[i][1], profile[i][0] * cosf(angle)), u,
                  length / total);
    }
  }
  for (int i = 0; i + 1 < n; i++)
    for (int k = 0; k < around; k++) {
      int a = i * (around + 1) + k;
      quad(m, a, a + 1, a + around + 2, a + around + 1);
    }
  mesh_normals(m);
  for (int i = 0; i < n; i++) { /* one normal on both sides of the seam, and at the poles */
    int a = i * (around + 1), b = a + around;
    m->n[a] = m->n[b] = unit(add(m->n[a], m->n[b]));
    if (profile[i][0] < 1e-5f)
      for (int k = a; k <= b; k++) m->n[k] = v3(0, i ? i + 1 < n ? m->n[k].y : 1 : -1, 0);
  }
  return 1;
}

/* Moves a point of the cube -1..1 onto the rounded box:
 * the inner box's nearest point plus r along the rest. */
static V3 rounded(V3 q, V3 h, float r, V3 *normal) {
  V3 p = v3(q.x * h.x, q.y * h.y, q.z * h.z);
  V3 c = v3(clampf(p.x, r - h.x, h.x - r), clampf(p.y, r - h.y, h.y - r), clampf(p.z, r - h.z, h.z - r));
  *normal = unit(sub(p, c));
  return along(c, *normal, r);
}

int mesh_box(Mesh *m, Arena *arena, V3 h, float r) {
  enum {
    N = 7
  }; /* grid lines per face: the corners need three cells, the flat middle one more on each side */
  r = clampf(r, 1e-4f, 0.98f * minf(h.x, minf(h.y, h.z)));
  if (!mesh_start(m, arena, 6 * N * N, 6 * (N - 1) * (N - 1) * 2)) return 0;
  const float half[3] = {h.x, h.y, h.z};
  for (int face = 0; face < 6; face++) {
    int axis = face / 2, ua = (axis + 1) % 3, va = (axis + 2) % 3, first = m->vertices;
    float sign = face % 2 ? 1.0f : -1.0f;
    for (int j = 0; j < N; j++)
      for (int i = 0; i < N; i++) {
        int at[2] = {i, j};
        float c[2];
        for (int k = 0; k < 2; k++) {
          float corner = 1 - r / half[k ? va : ua];
          float s = fabsf((float)(at[k] - N / 2)) / (float)(N / 2); /* 0, 1/3, 2/3, 1 */
          float d = s < 0.5f ? s * 3 * corner : mixf(corner, 1, (s * 3 - 1) / 2);
          c[k] = at[k] < N / 2 ? -d : d;
        }
        float q[3];
        q[axis] = sign, q[ua] = c[0], q[va] = c[1];
        V3 normal, p = rounded(v3(q[0], q[1], q[2]), h, r, &normal);
        int v = mesh_vertex(m, p, 0.5f + sign * 0.5f * c[0], 0.5f - 0.5f * c[1]);
        if (axis == 0) m->uv[v][0] = 0.5f - sign * 0.5f * c[1], m->uv[v][1] = 0.5f - 0.5f * c[0];
        if (axis == 1) m->uv[v][0] = 0.5f + 0.5f * c[1], m->uv[v][1] = 0.5f + sign * 0.5f * c[0];
        m->n[v] = normal;
      }
    for (int j = 0; j + 1 < N; j++)
      for (int i = 0; i + 1 < N; i++) {
        int a = first + j * N + i;
        if (sign > 0)
          quad(m, a, a + 1, a + N + 1, a + N);
        else
          quad(m, a, a + N, a + N + 1, a + 1);
      }
  }
  return 1;
}

int mesh_tube(Mesh *m, Arena *arena, const V3 *centre, const float *a, const float *b, int n, V3 side,
              int around) {
  if (!mesh_start(m, arena, (n + 2) * (around + 1), (n + 1) * around * 2)) return 0;
  float length = 0;
  for (int i = -1; i <= n; i++) { /* the rings before the first and after the last are the caps' centres */
    int r = i < 0 ? 0 : i >= n ? n - 1 : i;
    V3 d = unit(sub(centre[r + 1 < n ? r + 1 : r], centre[r ? r - 1 : r]));
    side = unit(across(side, d));
    V3 other = cross(side, d);
    if (i > 0 && i < n) length += norm(sub(centre[i], centre[i - 1]));
    for (int k = 0; k <= around; k++) {
      float u = (float)k / (float)around, c = cosf(2 * PI * u), s = sinf(2 * PI * u);
      float open = i == r ? 1 : 0;
      mesh_vertex(m, along(along(centre[r], side, a[r] * c * open), other, b[r] * s * open), u, length);
    }
  }
  for (int i = 0; i < m->vertices; i++) m->uv[i][1] /= length > 0 ? length : 1;
  for (int i = 0; i <= n; i++)
    for (int k = 0; k < around; k++) {
      int q = i * (around + 1) + k;
      quad(m, q, q + around + 1, q + around + 2, q + 1);
    }
  mesh_normals(m);
  for (int i = 0; i < n + 2; i++) {
    int q = i * (around + 1), w = q + around;
    m->n[q] = m->n[w] = unit(add(m->n[q], m->n[w]));
  }
  return 1;
}

int mesh_sheet(Mesh *m, Arena *arena, float width, float height, int nx, int ny) {
  if (!mesh_start(m, arena, (nx + 1) * (ny + 1), nx * ny * 2)) return 0;
  for (int j = 0; j <= ny; j++)
    for (int i = 0; i <= nx; i++) {
      float u = (float)i / (float)nx, v = (float)j / (float)ny;
      m->n[mesh_vertex(m, v3((u - 0.5f) * width, (0.5f - v) * height, 0), u, v)] = v3(0, 0, 1);
    }
  for (int j = 0; j < ny; j++)
    for (int i = 0; i < nx; i++) {
      int a = j * (nx + 1) + i;
      quad(m, a, a + nx + 1, a + nx + 2, a + 1);
    }
  return 1;
}

int mesh_ellipsoid(Mesh *m, Arena *arena, V3 c, V3 h, int around) {
  int rings = around / 2 + 1;
  if (!mesh_start(m, arena, rings * (around + 1), (rings - 1) * around * 2)) return 0;
  for (int j = 0; j < rings; j++)
    for (int i = 0; i <= around; i++) {
      float u = (float)i / (float)around, v = (float)j / (float)(rings - 1);
      V3 d = v3(sinf(PI * v) * sinf(2 * PI * u), -cosf(PI * v), sinf(PI * v) * cosf(2 * PI * u));
      int k = mesh_vertex(m, add(c, times(d, h)), u, v);
      m->n[k] = unit(v3(d.x / h.x, d.y / h.y, d.z / h.z));
    }
  for (int j = 0; j + 1 < rings; j++)
    for (int i = 0; i < around; i++) {
      int a = j * (around + 1) + i;
      quad(m, a, a + 1, a + around + 2, a + around + 1);
    }
  return 1;
}
