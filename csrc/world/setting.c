/* The stage. Views are those of hand videos: over one's own hands, across a table, from above. Half of the
 * cameras rest, the others pan, roll, zoom, drift or shake by up to a few pixels per frame. */
#include "world/setting.h"

static float ranged(Random *r, double a, double b) { return (float)random_range(r, a, b); }

int setting_view(Scene *s, Random *r) {
  double kind = random_uniform(r);
  int ego = kind < 0.4;
  float pitch = DEGREE * (ego ? ranged(r, 32, 62) : kind < 0.85 ? ranged(r, 8, 38) : ranged(r, 60, 82));
  float yaw = DEGREE * ranged(r, -25, 25), fov = DEGREE * ranged(r, 38, 70);
  s->span = expf(ranged(r, log(0.4), log(0.85)));
  s->focus = v3(ranged(r, -0.1, 0.1), ranged(r, 0.05, 0.16), ranged(r, -0.1, 0.1));
  float focal = 0.5f * (float)s->width / tanf(0.5f * fov), far = focal * s->span / (float)s->width;
  Pose *c = &s->base.pose;
  c->z = v3(sinf(yaw) * cosf(pitch), sinf(pitch), cosf(yaw) * cosf(pitch));
  c->x = unit(cross(v3(0, 1, 0), c->z));
  Pose roll = pose_turn(c->z, DEGREE * 3 * (float)random_normal(r));
  c->x = pose_vector(&roll, c->x);
  c->y = cross(c->z, c->x);
  c->o = along(s->focus, c->z, far);
  s->base.focal = focal, s->base.cx = 0.5f * (float)(s->width - 1),
  s->base.cy = 0.5f * (float)(s->height - 1);
  return ego;
}

/* One surface of the room from a list of patterns; `metre` is about one repeat's size. */
static int cover(Scene *s, Random *r, Material *m, const Pattern *list, int n, int size, double metre) {
  Pattern pattern = list[random_below(r, n)];
  V3 base = colour_any(r, 0, random_below(r, 3) ? 0.2 : 0.5, 0.25, 0.95),
     accent = scale(base, ranged(r, 0.25, 0.7));
  if (pattern == PATTERN_WOOD) {
    base = v3(ranged(r, 0.25, 0.6), 0, 0), base.y = base.x * ranged(r, 0.55, 0.72),
    base.z = base.x * ranged(r, 0.25, 0.45);
    accent = scale(base, ranged(r, 0.3, 0.55));
  }
  if (pattern != PATTERN_WOOD && random_below(r, 4) == 0) accent = colour_any(r, 0, 0.6, 0.2, 0.9);
  float repeat = 1 / (float)random_range(r, 0.7 * metre, 1.4 * metre);
  return material_make(m, &s->arena, r, pattern, size, base, accent, repeat, repeat, ranged(r, -0.1, 0.25),
                       ranged(r, 10, 50));
}

int setting_room(Scene *s, Random *r) {
  static const Pattern tops[] = {PATTERN_WOOD,    PATTERN_WOOD,  PATTERN_PLAIN,    PATTERN_STONE,
                                 PATTERN_TILES,   PATTERN_CHECK, PATTERN_TERRAZZO, PATTERN_SHAPES,
                                 PATTERN_STRIPES, PATTERN_PLAIN, PATTERN_STONE};
  static const Pattern walls[] = {PATTERN_PLAIN,  PATTERN_PLAIN, PATTERN_BRICK,   PATTERN_SHELF,
                                  PATTERN_SHAPES, PATTERN_TILES, PATTERN_STRIPES, PATTERN_SHELF,
                                  PATTERN_WOOD,   PATTERN_DOTS};
  static const Pattern floors[] = {PATTERN_WOOD, PATTERN_TILES, PATTERN_PLAIN, PATTERN_TERRAZZO};
  Room *m = &s->room;
  m->low = v3(-2.4f, -0.75f, -ranged(r, 0.6, 2)), m->high = v3(2.4f, 1.9f, 3);
  m->table_low = v3(-ranged(r, 0.35, 1.4), -0.035f, -ranged(r, 0.25, 0.8));
  m->table_high = v3(ranged(r, 0.35, 1.4), 0, ranged(r, 0.3, 0.9));
  m->table_low.z = maxf(m->table_low.z, m->low.z + 0.02f);
  if (!cover(s, r, &m->table, tops, 11, 512, 0.6) || !cover(s, r, &m->wall[2], walls, 10, 256, 1.1) ||
      !cover(s, r, &m->floor, floors, 4, 256, 1.2))
    return 0;
  m->rim = m->table;
  m->rim.shine = 0;
  m->wall[0] = m->wall[2];
  m->wall[1] = m->wall[3] = m->wall[2];
  for (int i = 0; i < 4; i++) m->wall[i].shine = 0;
  m->table.shine = maxf(0, m->table.shine), m->floor.shine = maxf(0, m->floor.shine);
  return 1;
}

void setting_light(Scene *s, Random *r) {
  Light *l = &s->light;
  float azimuth = ranged(r, 0, 2 * PI), height = DEGREE * ranged(r, 28, 78);
  l->key = v3(sinf(azimuth) * cosf(height), sinf(height), cosf(azimuth) * cosf(height));
  if (dot(l->key, s->base.pose.z) < -0.2f)
    l->key.x = -l->key.x, l->key.z = -l->key.z; /* rarely against the light */
  float warm = ranged(r, -1, 1), strength = ranged(r, 0.45, 0.95), fill = ranged(r, 0.22, 0.55);
  l->key_colour = scale(v3(1 + 0.13f * warm, 1, 1 - 0.22f * warm), strength);
  l->sky = scale(v3(1 - 0.06f * warm, 1, 1 + 0.12f * warm), fill);
  l->ground = scale(v3(1.06f, 1, 0.9f), fill * ranged(r, 0.35, 0.7));
  l->blur = expf(ranged(r, log(0.006), log(0.035)));
  l->seed = random_u32(r);
  if (random_below(r, 4) == 0) l->flicker = ranged(r, 0.02, 0.12);
  if (random_below(r, 5) == 0) l->drift = ranged(r, -0.4, 0.4);
}

void setting_camera(Scene *s, Random *r) {
  /* in pixels of a picture 448 wide, turned into radians by its own focal length */
  float pixel = (float)s->width / 448 / s->base.focal;
  s->shake = random_u32(r);
  if (random_below(r, 20) >= 9) {
    if (random_below(r, 3)) s->pan[0] = pixel * ranged(r, -3, 3);
    if (random_below(r, 3) == 0) s->pan[1] = pixel * ranged(r, -2, 2);
    if (random_below(r, 3) == 0) s->pan[2] = ranged(r, -0.008, 0.008);
    if (random_below(r, 4) == 0) s->zoom = ranged(r, -0.008, 0.008);
    if (random_below(r, 2)) s->jitter = pixel * ranged(r, 0.5, 5);
    if (random_below(r, 3) == 0)
      s->dolly =
          scale(unit(v3((float)random_normal(r), 0.5f * (float)random_normal(r), (float)random_normal(r))),
                s->span / 448 * ranged(r, 0.2, 1.6));
  }
  float many = 30.0f / (float)(s->frames > 30 ? s->frames : 30); /* long clips do not pan away */
  for (int i = 0; i < 3; i++) s->pan[i] *= many;
  s->zoom *= many, s->dolly = scale(s->dolly, many);
  Film *f = &s->film;
  f->shutter = random_below(r, 4) ? ranged(r, 0.1, 0.75) : 0.05f;
  f->soft = random_below(r, 3) ? ranged(r, 0.2, 0.75) : ranged(r, 0.7, 1.0);
  f->noise = expf(ranged(r, log(0.003), log(0.022))), f->chroma = f->noise * ranged(r, 0.3, 1);
  f->exposure = ranged(r, 0.9, 1.45), f->contrast = ranged(r, 0, 0.55), f->vignette = ranged(r, 0, 0.35);
  float warm = 0.07f * (float)random_normal(r), green = 0.03f * (float)random_normal(r);
  f->balance = v3(1 + warm, 1 + green, 1 - warm);
}
