/* Light on surfaces: a key light with a soft shadow, sky and ground light dimmed under things, highlights,
 * skin with light that bleeds around. Not physically exact; cheap enough for every pixel at every moment of
 * the shutter. */
#include "world/render.h"

#include <string.h>

/* What a ray meets. */
typedef struct Surface {
  V3 p, n, albedo;
  float gloss, shine, sharp;
  int skin;
} Surface;

/* How far around a point things overhead take away its sky light, metres. */
#define OPEN_RADIUS 0.045f

/* The pyramid's level for so many texels per pixel: the exponent of 1.2 times as many. */
static int level_of(float texels) {
  union {
    float f;
    unsigned u;
  } bits = {1.2f * texels};
  return texels > 1 ? (int)(bits.u >> 23) - 127 : 0;
}

/* Where the ray enters the table's slab or leaves the room's box. */
V3 room_hit(const Scene *s, const Camera *camera, float x, float y, V3 *normal, const Material **material,
            float uv[2]) {
  const Room *room = &s->room;
  V3 d =
      pose_vector(&camera->pose, v3((x - camera->cx) / camera->focal, (camera->cy - y) / camera->focal, -1));
  const float o[3] = {camera->pose.o.x, camera->pose.o.y, camera->pose.o.z}, v[3] = {d.x, d.y, d.z};
  const float lo[3] = {room->table_low.x, room->table_low.y, room->table_low.z};
  const float hi[3] = {room->table_high.x, room->table_high.y, room->table_high.z};
  float enter = -1e9f, leave = 1e9f, t = 1e9f;
  int axis = 0;
  for (int k = 0; k < 3; k++) {
    float i = 1 / (fabsf(v[k]) > 1e-9f ? v[k] : 1e-9f), a = (lo[k] - o[k]) * i, b = (hi[k] - o[k]) * i;
    float near = minf(a, b), far = maxf(a, b);
    if (near > enter) enter = near, axis = k;
    leave = minf(leave, far);
  }
  int table = enter < leave && enter > 0;
  if (table) {
    t = enter;
    *material = axis == 1 && v[1] < 0 ? &room->table : &room->rim;
  } else {
    const float rl[3] = {room->low.x, room->low.y, room->low.z},
                rh[3] = {room->high.x, room->high.y, room->high.z};
    for (int k = 0; k < 3; k++) {
      float i = 1 / (fabsf(v[k]) > 1e-9f ? v[k] : 1e-9f), far = maxf((rl[k] - o[k]) * i, (rh[k] - o[k]) * i);
      if (far < t) t = far, axis = k;
    }
    *material = axis == 1 ? &room->floor : &room->wall[axis == 0 ? (v[0] > 0) : 2 + (v[2] > 0)];
  }
  V3 p = along(camera->pose.o, d, t);
  float sign = v[axis] > 0 ? -1.0f : 1.0f;
  *normal = v3(axis == 0 ? sign : 0, axis == 1 ? sign : 0, axis == 2 ? sign : 0);
  uv[0] = (axis == 0 ? p.z : p.x) * (*material)->repeat_u;
  uv[1] = (axis == 1 ? p.z : -p.y) * (*material)->repeat_v;
  return p;
}

static void skin_surface(const Mesh *m, const int *v, const float b[3], Surface *f) {
  f->albedo = along(along(scale(m->paint[v[0]], b[0]), m->paint[v[1]], b[1]), m->paint[v[2]], b[2]);
  float nail = m->nail[v[0]] * b[0] + m->nail[v[1]] * b[1] + m->nail[v[2]] * b[2], in = ramp(0, 0.18f, nail);
  float edge = ramp(-0.25f, 0.05f, nail) * (1 - in);
  V3 bed = mix3(f->albedo, v3(0.75f, 0.5f, 0.44f), 0.45f);
  f->albedo = scale(mix3(f->albedo, bed, in), 1 - 0.3f * edge);
  f->shine = 0.10f + 0.35f * in, f->sharp = mixf(14, 60, in), f->gloss = 1, f->skin = 1;
}

static void body_surface(const Render *r, const Camera *camera, int t, float x, float y, Surface *f) {
  const Body *body = &r->scene->body[r->body_of[t]];
  const Material *m = body->material;
  const int *v = r->triangle[t];
  float b[3];
  render_bary(r, t, x, y, b);
  f->p = along(along(scale(r->p[v[0]], b[0]), r->p[v[1]], b[1]), r->p[v[2]], b[2]);
  f->n = unit(along(along(scale(r->n[v[0]], b[0]), r->n[v[1]], b[1]), r->n[v[2]], b[2]));
  V3 view = sub(camera->pose.o, f->p);
  if (m->two_sided && dot(f->n, view) < 0) f->n = scale(f->n, -1);
  if (m->skin) {
    const int at[3] = {v[0] - body->first_vertex, v[1] - body->first_vertex, v[2] - body->first_vertex};
    skin_surface(body->mesh, at, b, f);
    return;
  }
  const float(*uv)[2] = (const float(*)[2])body->mesh->uv;
  float c[2];
  for (int k = 0; k < 2; k++)
    c[k] = uv[v[0] - body->first_vertex][k] * b[0] + uv[v[1] - body->first_vertex][k] * b[1] +
           uv[v[2] - body->first_vertex][k] * b[2];
  float far = norm(view), foot = far / camera->focal / maxf(0.25f, fabsf(dot(f->n, view)) / far);
  float repeat = maxf(m->repeat_u, m->repeat_v) * r->density[t] * (float)m->texture->size;
  f->albedo =
      texture_at(m->texture, c[0] * m->repeat_u, c[1] * m->repeat_v, level_of(repeat * foot), &f->gloss);
  f->shine = m->shine, f->sharp = m->sharp, f->skin = 0;
}

static void room_surface(const Scene *s, const Camera *camera, float x, float y, Surface *f) {
  const Material *m;
  float uv[2];
  f->p = room_hit(s, camera, x, y, &f->n, &m, uv);
  V3 view = sub(camera->pose.o, f->p);
  float far = norm(view), foot = far / camera->focal / maxf(0.12f, fabsf(dot(f->n, view)) / far);
  f->albedo =
      texture_at(m->texture, uv[0], uv[1],
                 level_of(foot * maxf(m->repeat_u, m->repeat_v) * (float)m->texture->size), &f->gloss);
  f->shine = m->shine, f->sharp = m->sharp, f->skin = 0;
}

/* x^e, 0 where that is below e^-6. */
static float power(float x, float e) { return x * e > e - 6 && x > 0 ? exp2f(e * log2f(x)) : 0; }

static V3 lit(const Render *r, const Camera *camera, const Surface *f, float level) {
  const Light *l = &r->scene->light;
  V3 view = unit(sub(camera->pose.o, f->p));
  float cosine = dot(f->n, l->key), open = 1 - 0.75f * (1 - shadow_light(&r->top, f->p, f->n));
  float shadow = cosine > -0.3f ? shadow_light(&r->key, f->p, f->n) : 0;
  V3 diffuse;
  if (f->skin) {
    float red = clampf((cosine + 0.28f) / 1.28f, 0, 1), rest = clampf((cosine + 0.1f) / 1.1f, 0, 1);
    diffuse = v3(red * mixf(shadow, 1, 0.06f), rest * shadow, rest * shadow);
  } else {
    float c = clampf(cosine, 0, 1) * shadow;
    diffuse = v3(c, c, c);
  }
  V3 ambient = scale(mix3(l->ground, l->sky, 0.5f + 0.5f * f->n.y), open);
  V3 colour = times(f->albedo, add(times(l->key_colour, diffuse), ambient));
  if (f->shine > 0) {
    V3 half = unit(add(l->key, view));
    float spot = shadow > 0 ? f->shine * f->gloss * shadow * power(dot(f->n, half), f->sharp) : 0;
    float rim = 1 - fabsf(dot(f->n, view)), glance = 0.25f * f->shine * f->gloss * open * rim * rim * rim;
    colour = add(colour, scale(l->key_colour, spot));
    colour = add(colour, scale(l->sky, glance));
  }
  return scale(colour, level);
}

/* How many pixels the fastest of some points moves while the shutter is open. */
static float blur_length(Render *r, int t, int bodies) {
  const Scene *s = r->scene;
  float half = 0.5f * s->film.shutter, most = 0;
  Camera open = scene_camera(s, (float)t - half), close = scene_camera(s, (float)t + half);
  if (!bodies) { /* the corners of the view, at the focus */
    for (int i = 0; i < 4; i++) {
      V3 corner = along(along(s->focus, s->base.pose.x, (i & 1 ? 0.5f : -0.5f) * s->span), s->base.pose.y,
                        (i & 2 ? 0.3f : -0.3f) * s->span);
      float x0, y0, x1, y1;
      camera_project(&open, corner, &x0, &y0), camera_project(&close, corner, &x1, &y1);
      most = maxf(most, hypotf(x1 - x0, y1 - y0));
    }
    return most;
  }
  V3 *q = (V3 *)r->spare; /* free until the film is developed, if large enough */
  if ((size_t)s->vertices * sizeof(V3) > 3 * (size_t)s->width * (size_t)s->height * sizeof(float)) return 6;
  scene_pose(s, (float)t - half, r->p, r->n);
  for (int i = 0; i < s->vertices; i += 7) q[i] = r->p[i];
  scene_pose(s, (float)t + half, r->p, r->n);
  for (int i = 0; i < s->vertices; i += 7) {
    float x0, y0, x1, y1;
    if (!camera_project(&open, q[i], &x0, &y0) || !camera_project(&close, r->p[i], &x1, &y1)) continue;
    if (x0 < 0 || y0 < 0 || x0 > (float)s->width || y0 > (float)s->height) continue;
    most = maxf(most, hypotf(x1 - x0, y1 - y0));
  }
  return most;
}

static float halton(int i, int base) {
  float f = 1, x = 0;
  for (; i > 0; i /= base) f /= (float)base, x += f * (float)(i % base);
  return x;
}

/* One moment of the shutter: its time, its shift of the pixel centres, its camera and light. */
typedef struct Moment {
  float time, dx, dy, level;
  Camera camera;
} Moment;

static Moment moment(Render *r, int t, int k, int n) {
  const Scene *s = r->scene;
  Moment m = {.time = (float)t + s->film.shutter * (((float)k + 0.5f) / (float)n - 0.5f),
              .dx = 1.1f * (halton(k + 1, 2) - 0.5f),
              .dy = 1.1f * (halton(k + 1, 3) - 0.5f)};
  m.camera = scene_camera(s, m.time);
  m.level = light_level(s, m.time) / (float)n;
  return m;
}

static void put(float *out, V3 c) { out[0] += c.x, out[1] += c.y, out[2] += c.z; }

/* The bodies at one moment; counts the moments at which each pixel sees past them. */
static void expose_bodies(Render *r, const Moment *m, unsigned char *past) {
  const Scene *s = r->scene;
  scene_pose(s, m->time, r->p, r->n);
  render_visible(r, r->p, &m->camera, m->dx, m->dy);
  size_t i = 0;
  for (int y = 0; y < s->height; y++)
    for (int x = 0; x < s->width; x++, i++) {
      if (r->seen[i] < 0) {
        past[i]++;
        continue;
      }
      Surface f;
      body_surface(r, &m->camera, r->seen[i], (float)x, (float)y, &f);
      put(r->light + 3 * i, lit(r, &m->camera, &f, m->level));
    }
}

/* The room behind, `weight` for each moment at which a pixel sees it. */
static void expose_room(Render *r, const Moment *m, const unsigned char *past, float weight) {
  const Scene *s = r->scene;
  size_t i = 0;
  for (int y = 0; y < s->height; y++)
    for (int x = 0; x < s->width; x++, i++) {
      if (!past[i]) continue;
      Surface f;
      room_surface(s, &m->camera, (float)x + m->dx, (float)y + m->dy, &f);
      put(r->light + 3 * i, lit(r, &m->camera, &f, m->level * weight * (float)past[i]));
    }
}

void render_frame(Render *r, int t, unsigned char *rgb) {
  const Scene *s = r->scene;
  size_t pixels = (size_t)s->width * (size_t)s->height;
  /* enough moments that the fastest thing steps by about two pixels;
   * the room needs them for the camera only */
  int n = 4 + (int)minf(6, 0.5f * blur_length(r, t, 1)),
      views = 2 + (int)minf(4, 0.7f * blur_length(r, t, 0));
  unsigned char *past = (unsigned char *)r->spare;
  memset(r->light, 0, 3 * pixels * sizeof *r->light);
  memset(past, 0, pixels);
  scene_pose(s, (float)t, r->p, r->n);
  V3 under = v3(s->focus.x, 0.05f, s->focus.z);
  float half = minf(0.75f * s->span, 0.62f);
  shadow_place(&r->key, s->light.key, under, half, s->light.blur);
  shadow_place(&r->top, v3(0, 1, 0), under, half, OPEN_RADIUS);
  shadow_draw(r, &r->key);
  shadow_draw(r, &r->top);
  for (int k = 0; k < n; k++) {
    Moment m = moment(r, t, k, n);
    shadow_aim(&r->key, s->light.blur, 3, k);
    shadow_aim(&r->top, OPEN_RADIUS, 2, k);
    expose_bodies(r, &m, past);
  }
  for (int k = 0; k < views; k++) {
    Moment m = moment(r, t, k, views);
    shadow_aim(&r->key, s->light.blur, SHADOW_TAPS, k);
    shadow_aim(&r->top, OPEN_RADIUS, 3, k);
    expose_room(r, &m, past, 1 / (float)n);
  }
  film_develop(r, t, rgb);
}
