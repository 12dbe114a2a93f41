/* Light on surfaces: a key light with a soft shadow, sky and ground light dimmed under things, highlights, skin with
 * light that bleeds around. Not physically exact; cheap enough for every pixel at every moment of the shutter. */
#include "world/render.h"

#include <string.h>

/* What a ray meets. */
typedef struct Surface {
  V3 p, n, albedo;
  float gloss, shine, sharp;
  int skin;
} Surface;

static int level_of(float texels) { return texels > 1 ? (int)(log2f(texels) + 0.25f) : 0; }

/* Where the ray enters the table's slab or leaves the room's box. */
V3 room_hit(const Scene *s, const Camera *camera, float x, float y, V3 *normal, const Material **material, float uv[2]) {
  const Room *room = &s->room;
  V3 d = pose_vector(&camera->pose, v3((x - camera->cx) / camera->focal, (camera->cy - y) / camera->focal, -1));
  const float o[3] = {camera->pose.o.x, camera->pose.o.y, camera->pose.o.z}, v[3] = {d.x, d.y, d.z};
  const float lo[3] = {room->table_low.x, room->table_low.y, room->table_low.z};
  const float hi[3] = {room->table_high.x, room->table_high.y, room->table_high.z};
  float enter = -1e9f, leave = 1e9f, t = 1e9f;
  int axis = 0;
  for (int k = 0; k < 3; k++) {
    float i = 1 / (fabsf(v[k]) > 1e-9f ? v[k] : 1e-9f), a = (lo[k] - o[k]) * i, b = (hi[k] - o[k]) * i;
    float near = fminf(a, b), far = fmaxf(a, b);
    if (near > enter) enter = near, axis = k;
    leave = fminf(leave, far);
  }
  int table = enter < leave && enter > 0;
  if (table) {
    t = enter;
    *material = axis == 1 && v[1] < 0 ? &room->table : &room->rim;
  } else {
    const float rl[3] = {room->low.x, room->low.y, room->low.z}, rh[3] = {room->high.x, room->high.y, room->high.z};
    for (int k = 0; k < 3; k++) {
      float i = 1 / (fabsf(v[k]) > 1e-9f ? v[k] : 1e-9f), far = fmaxf((rl[k] - o[k]) * i, (rh[k] - o[k]) * i);
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
  float far = norm(view), foot = far / camera->focal / fmaxf(0.25f, fabsf(dot(f->n, view)) / far);
  float repeat = fmaxf(m->repeat_u, m->repeat_v) * r->density[t] * (float)m->texture->size;
  f->albedo = texture_at(m->texture, c[0] * m->repeat_u, c[1] * m->repeat_v, level_of(repeat * foot), &f->gloss);
  f->shine = m->shine, f->sharp = m->sharp, f->skin = 0;
}

static void room_surface(const Scene *s, const Camera *camera, float x, float y, Surface *f) {
  const Material *m;
  float uv[2];
  f->p = room_hit(s, camera, x, y, &f->n, &m, uv);
  V3 view = sub(camera->pose.o, f->p);
  float far = norm(view), foot = far / camera->focal / fmaxf(0.12f, fabsf(dot(f->n, view)) / far);
  f->albedo = texture_at(m->texture, uv[0], uv[1], level_of(foot * fmaxf(m->repeat_u, m->repeat_v) * (float)m->texture->size), &f->gloss);
  f->shine = m->shine, f->sharp = m->sharp, f->skin = 0;
}

static float power(float x, float e) { return x > 1e-6f ? exp2f(e * log2f(x)) : 0; }

static V3 lit(const Render *r, const Camera *camera, const Surface *f, float level, int phase) {
  const Light *l = &r->scene->light;
  V3 view = unit(sub(camera->pose.o, f->p));
  float cosine = dot(f->n, l->key), open = 1 - 0.75f * (1 - shadow_light(&r->top, f->p, f->n, 0.045f, 5, phase));
  float shadow = cosine > -0.3f ? shadow_light(&r->key, f->p, f->n, l->blur, 4, phase) : 0;
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
    float spot = f->shine * f->gloss * shadow * power(fmaxf(0, dot(f->n, half)), f->sharp);
    float rim = 1 - fabsf(dot(f->n, view)), glance = 0.25f * f->shine * f->gloss * open * rim * rim * rim;
    colour = add(colour, scale(l->key_colour, spot));
    colour = add(colour, scale(l->sky, glance));
  }
  return scale(colour, level);
}

/* Moments per frame: enough that the fastest thing steps by about two pixels. */
static int moments(Render *r, int t) {
  const Scene *s = r->scene;
  float half = 0.5f * s->film.shutter, most = 0;
  Camera open = scene_camera(s, (float)t - half), close = scene_camera(s, (float)t + half);
  V3 *q = (V3 *)r->spare; /* free until the film is developed; checked below to be large enough */
  if ((size_t)s->vertices * sizeof(V3) > 3 * (size_t)s->width * (size_t)s->height * sizeof(float)) return 8;
  scene_pose(s, (float)t - half, r->p, r->n);
  for (int i = 0; i < s->vertices; i += 7) q[i] = r->p[i];
  scene_pose(s, (float)t + half, r->p, r->n);
  for (int i = 0; i < s->vertices; i += 7) {
    float x0, y0, x1, y1;
    if (!camera_project(&open, q[i], &x0, &y0) || !camera_project(&close, r->p[i], &x1, &y1)) continue;
    if (x0 < 0 || y0 < 0 || x0 > (float)s->width || y0 > (float)s->height) continue;
    most = fmaxf(most, hypotf(x1 - x0, y1 - y0));
  }
  int n = 4 + (int)(most * 0.5f);
  return n > 10 ? 10 : n;
}

static float halton(int i, int base) {
  float f = 1, x = 0;
  for (; i > 0; i /= base) f /= (float)base, x += f * (float)(i % base);
  return x;
}

void render_frame(Render *r, int t, unsigned char *rgb) {
  const Scene *s = r->scene;
  int n = moments(r, t);
  memset(r->light, 0, 3 * (size_t)s->width * (size_t)s->height * sizeof *r->light);
  scene_pose(s, (float)t, r->p, r->n);
  V3 under = v3(s->focus.x, 0.05f, s->focus.z);
  shadow_place(&r->key, s->light.key, under, fminf(0.75f * s->span, 0.62f));
  shadow_place(&r->top, v3(0, 1, 0), under, fminf(0.75f * s->span, 0.62f));
  shadow_draw(r, &r->key);
  shadow_draw(r, &r->top);
  for (int k = 0; k < n; k++) {
    float time = (float)t + s->film.shutter * (((float)k + 0.5f) / (float)n - 0.5f);
    float dx = 1.1f * (halton(k + 1, 2) - 0.5f), dy = 1.1f * (halton(k + 1, 3) - 0.5f);
    Camera camera = scene_camera(s, time);
    float level = light_level(s, time) / (float)n;
    scene_pose(s, time, r->p, r->n);
    render_visible(r, r->p, &camera, dx, dy);
    float *out = r->light;
    for (int y = 0; y < s->height; y++)
      for (int x = 0; x < s->width; x++, out += 3) {
        int id = r->seen[(size_t)y * (size_t)s->width + (size_t)x];
        Surface f;
        if (id >= 0) body_surface(r, &camera, id, (float)x, (float)y, &f);
        else room_surface(s, &camera, (float)x + dx, (float)y + dy, &f);
        V3 c = lit(r, &camera, &f, level, k);
        out[0] += c.x, out[1] += c.y, out[2] += c.z;
      }
  }
  film_develop(r, t, rgb);
}
