/* Triangles to pixels by edge functions, with a depth buffer: which triangle a pixel sees, nothing more.
 * Triangles that reach behind the camera are left out (they are arms that leave the picture). */
#include "world/render.h"

#include "core/error.h"

#include <string.h>

/* Texture repeats per metre on a triangle. */
static float density(const Mesh *m, const int *t) {
  V3 area = cross(sub(m->p[t[1]], m->p[t[0]]), sub(m->p[t[2]], m->p[t[0]]));
  const float *a = m->uv[t[0]], *b = m->uv[t[1]], *c = m->uv[t[2]];
  float paper = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
  return sqrtf(fabsf(paper) / maxf(norm(area), 1e-9f));
}

/* Skin deep under a sleeve is never drawn (its triangle stays 0, 0, 0). */
static int covered(const Actor *a, const Mesh *m, const int *t) {
  return a->sleeve.mesh.vertices && m->p[t[0]].y < -a->cuff - 0.03f;
}

int render_start(Render *r, Scene *s) {
  size_t pixels = (size_t)s->width * (size_t)s->height, nv = (size_t)s->vertices, nt = (size_t)s->triangles;
  memset(r, 0, sizeof *r);
  r->scene = s;
  r->triangle = arena_take(&s->arena, nt * sizeof *r->triangle);
  r->body_of = arena_take(&s->arena, nt);
  r->p = arena_take(&s->arena, nv * sizeof(V3));
  r->n = arena_take(&s->arena, nv * sizeof(V3));
  r->point = arena_take(&s->arena, nv * sizeof(Point));
  r->depth = arena_take(&s->arena, pixels * sizeof(float));
  r->seen = arena_take(&s->arena, pixels * sizeof(int));
  r->light = arena_take(&s->arena, 3 * pixels * sizeof(float));
  r->spare = arena_take(&s->arena, 3 * pixels * sizeof(float));
  r->key.near = arena_take(&s->arena, (size_t)SHADOW * SHADOW * sizeof(float));
  r->top.near = arena_take(&s->arena, (size_t)SHADOW * SHADOW * sizeof(float));
  r->key.block = arena_take(&s->arena, (size_t)SHADOW * SHADOW * sizeof(float));
  r->top.block = arena_take(&s->arena, (size_t)SHADOW * SHADOW * sizeof(float));
  if (!r->triangle || !r->body_of || !r->p || !r->n || !r->point || !r->depth || !r->seen || !r->light ||
      !r->spare || !r->key.near || !r->top.near || !r->key.block || !r->top.block)
    return 0;
  r->density = arena_take(&s->arena, nt * sizeof(float));
  if (!r->density) return 0;
  for (int b = 0; b < s->bodies; b++) {
    const Body *body = &s->body[b];
    int left = body->kind == BODY_HAND && s->actor[body->owner].left;
    for (int i = 0; i < body->mesh->triangles; i++) {
      int *to = r->triangle[body->first_triangle + i];
      const int *from = body->mesh->t[i];
      if (body->kind == BODY_HAND && covered(&s->actor[body->owner], body->mesh, from)) continue;
      to[0] = body->first_vertex + from[0];
      to[1] = body->first_vertex + from[left ? 2 : 1]; /* a mirrored mesh turns its triangles around */
      to[2] = body->first_vertex + from[left ? 1 : 2];
      r->body_of[body->first_triangle + i] = (unsigned char)b;
      r->density[body->first_triangle + i] = density(body->mesh, from);
    }
  }
  return 1;
}

/* One triangle into depth and, if wanted, seen. Twice its signed area on the picture is < 0 when seen from
 * outside (y points down). */
static void fill(const Point *a, const Point *b, const Point *c, int w, int h, int both, int id, float *depth,
                 int *seen) {
  float area = (b->x - a->x) * (c->y - a->y) - (b->y - a->y) * (c->x - a->x);
  if (area > 0 && both) {
    const Point *t = b;
    b = c, c = t, area = -area;
  }
  if (!(area < -1e-9f)) return;
  float left = minf(a->x, minf(b->x, c->x)), right = maxf(a->x, maxf(b->x, c->x));
  float top = minf(a->y, minf(b->y, c->y)), bottom = maxf(a->y, maxf(b->y, c->y));
  if (!(right >= 0 && left <= (float)(w - 1) && bottom >= 0 && top <= (float)(h - 1))) return;
  int x0 = left > 0 ? (int)ceilf(left) : 0, x1 = right < (float)(w - 1) ? (int)floorf(right) : w - 1;
  int y0 = top > 0 ? (int)ceilf(top) : 0, y1 = bottom < (float)(h - 1) ? (int)floorf(bottom) : h - 1;
  if (x0 > x1 || y0 > y1) return;
  float inverse = 1 / area;
  /* weights of b and c, and 1/depth, as planes over the picture */
  float bx = (a->y - c->y) * -inverse, by = (a->x - c->x) * inverse;
  float cx = (b->y - a->y) * -inverse, cy = (b->x - a->x) * inverse;
  float zx = bx * (b->iz - a->iz) + cx * (c->iz - a->iz), zy = by * (b->iz - a->iz) + cy * (c->iz - a->iz);
  for (int y = y0; y <= y1; y++) {
    float dx = (float)x0 - a->x, dy = (float)y - a->y;
    float wb = bx * dx + by * dy, wc = cx * dx + cy * dy, z = a->iz + zx * dx + zy * dy;
    size_t row = (size_t)y * (size_t)w;
    for (int x = x0; x <= x1; x++, wb += bx, wc += cx, z += zx) {
      if (wb < -1e-5f || wc < -1e-5f || wb + wc > 1.00001f || z <= depth[row + (size_t)x]) continue;
      depth[row + (size_t)x] = z;
      if (seen) seen[row + (size_t)x] = id;
    }
  }
}

void render_visible(Render *r, const V3 *p, const Camera *camera, float dx, float dy) {
  const Scene *s = r->scene;
  size_t pixels = (size_t)s->width * (size_t)s->height;
  for (int i = 0; i < s->vertices; i++) {
    V3 q = pose_local(&camera->pose, p[i]);
    float depth = -q.z, iz = depth > 0.03f ? 1 / depth : -1;
    r->point[i] =
        (Point){camera->cx - dx + camera->focal * q.x * iz, camera->cy - dy - camera->focal * q.y * iz, iz};
  }
  memset(r->depth, 0, pixels * sizeof *r->depth);
  memset(r->seen, 0xff, pixels * sizeof *r->seen);
  for (int b = 0; b < s->bodies; b++) {
    const Body *body = &s->body[b];
    for (int i = 0; i < body->mesh->triangles; i++) {
      int id = body->first_triangle + i;
      const int *t = r->triangle[id];
      const Point *u = &r->point[t[0]], *v = &r->point[t[1]], *w = &r->point[t[2]];
      if (u->iz < 0 || v->iz < 0 || w->iz < 0) continue;
      fill(u, v, w, s->width, s->height, body->material->two_sided, id, r->depth, r->seen);
    }
  }
}

void render_bary(const Render *r, int t, float x, float y, float out[3]) {
  const Point *a = &r->point[r->triangle[t][0]], *b = &r->point[r->triangle[t][1]],
              *c = &r->point[r->triangle[t][2]];
  float area = (b->x - a->x) * (c->y - a->y) - (b->y - a->y) * (c->x - a->x), dx = x - a->x, dy = y - a->y;
  float wb = (dx * (c->y - a->y) - dy * (c->x - a->x)) / area,
        wc = (dy * (b->x - a->x) - dx * (b->y - a->y)) / area;
  float pa = (1 - wb - wc) * a->iz, pb = wb * b->iz, pc = wc * c->iz, sum = 1 / (pa + pb + pc);
  out[0] = pa * sum, out[1] = pb * sum, out[2] = pc * sum;
}

void shadow_place(Shadow *s, V3 towards, V3 centre, float half, float reach) {
  s->reach = reach;
  s->view.z = towards;
  s->view.x = unit(across(fabsf(towards.y) > 0.9f ? v3(1, 0, 0) : v3(0, 1, 0), towards));
  s->view.y = cross(towards, s->view.x);
  s->view.o = centre;
  s->half = half;
}

void shadow_draw(Render *r, Shadow *s) {
  const Scene *scene = r->scene;
  float k = 0.5f * SHADOW / s->half;
  for (int i = 0; i < SHADOW * SHADOW; i++) s->near[i] = -1e9f;
  for (int i = 0; i < scene->vertices; i++) {
    V3 q = pose_local(&s->view, r->p[i]);
    r->point[i] = (Point){0.5f * SHADOW + k * q.x, 0.5f * SHADOW - k * q.y, q.z};
  }
  for (int i = 0; i < scene->triangles; i++) {
    const int *t = r->triangle[i];
    fill(&r->point[t[0]], &r->point[t[1]], &r->point[t[2]], SHADOW, SHADOW, 0, 0, s->near, NULL);
  }
  enum { N = SHADOW / SHADOW_BLOCK };
  float most[N * N];
  for (int i = 0; i < N * N; i++) most[i] = -1e9f;
  for (int i = 0; i < SHADOW * SHADOW; i++) {
    float *to = &most[i / SHADOW / SHADOW_BLOCK * N + i % SHADOW / SHADOW_BLOCK];
    *to = maxf(*to, s->near[i]);
  }
  int reach = (int)(s->reach * k) / SHADOW_BLOCK + 1;
  for (int i = 0; i < N * N; i++) {
    s->block[i] = -1e9f;
    for (int y = i / N - reach; y <= i / N + reach; y++)
      for (int x = i % N - reach; x <= i % N + reach; x++)
        if (x >= 0 && y >= 0 && x < N && y < N) s->block[i] = maxf(s->block[i], most[y * N + x]);
  }
}

void shadow_aim(Shadow *s, float radius, int taps, int phase) {
  float k = 0.5f * SHADOW / s->half * radius;
  s->taps = taps;
  for (int i = 0; i < taps; i++) { /* a golden-angle spiral: successive phases fill it */
    float a = 2.39996323f * (float)(phase * taps + i), d = k * sqrtf(((float)i + 0.5f) / (float)taps);
    s->tap[i][0] = d * cosf(a), s->tap[i][1] = d * sinf(a);
  }
}

float shadow_light(const Shadow *s, V3 p, V3 n) {
  V3 q = pose_local(&s->view, along(p, n, 0.004f));
  float k = 0.5f * SHADOW / s->half, x = 0.5f * SHADOW + k * q.x, y = 0.5f * SHADOW - k * q.y;
  float least = q.z + 0.003f;
  if (!(x > 0 && y > 0 && x < SHADOW && y < SHADOW)) return 1;
  if (s->block[(int)y / SHADOW_BLOCK * (SHADOW / SHADOW_BLOCK) + (int)x / SHADOW_BLOCK] < least) return 1;
  int lit = 0;
  for (int i = 0; i < s->taps; i++) {
    int tx = (int)clampf(x + s->tap[i][0], 0, SHADOW - 1), ty = (int)clampf(y + s->tap[i][1], 0, SHADOW - 1);
    lit += s->near[ty * SHADOW + tx] < least;
  }
  return (float)lit / (float)s->taps;
}
