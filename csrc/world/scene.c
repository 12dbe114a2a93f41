/* Composes a scene: view, people, what they do, what lies around, and the list of bodies. The room, light and
 * film are drawn in setting.c. Every choice comes from one stream of random numbers. Arguments of one call
 * may draw in the compiler's order, so that a seed means the same world for builds by one compiler only. */
#include "world/people.h"
#include "world/setting.h"

#include <string.h>

typedef enum Script {
  SCRIPT_CARRY,    /* one hand carries or turns a thing */
  SCRIPT_TABLE,    /* a hand lifts a thing off the table, or puts it down and lets go */
  SCRIPT_TOGETHER, /* two hands on one thing */
  SCRIPT_EACH,     /* two hands, a thing each */
  SCRIPT_BESIDE,   /* one hand holds, another is empty */
  SCRIPT_EMPTY     /* empty hands only */
} Script;

static float ranged(Random *r, double a, double b) { return (float)random_range(r, a, b); }
static float log_ranged(Random *r, double a, double b) { return (float)exp(random_range(r, log(a), log(b))); }

static V3 direction(Random *r) {
  return unit(v3((float)random_normal(r), (float)random_normal(r), (float)random_normal(r)));
}

/* A path whose speed at the middle is about `speed` metres and `spin` radians per frame. */
static void path_make(const Scene *s, Random *r, Path *p, float speed, float spin, int level) {
  V3 eye = s->base.pose.z;
  for (int k = 0; k < 2; k++) {
    float part = k ? 0.35f : 0.8f, w = 2 * PI / (k ? ranged(r, 8, 16) : ranged(r, 20, 46));
    V3 d = direction(r), t = direction(r);
    if (level)
      d = unit(v3(d.x, 0, d.z)), t = v3(0, t.y < 0 ? -1.0f : 1.0f, 0);
    else
      d = unit(along(d, eye, -0.6f * dot(d, eye))), d.y *= 0.7f; /* mostly across the view */
    p->speed[k] = w;
    p->sway[k] = scale(d, minf(part * speed / w, 0.13f));
    p->turn[k] = scale(t, minf(part * spin / w, 0.9f));
    float phase =
        ranged(r, -0.9, 0.9) + (random_below(r, 2) ? PI : 0); /* near the steepest part of the wave */
    for (int a = 0; a < 6; a++) p->phase[k][a] = phase + ranged(r, -0.4, 0.4);
  }
  p->middle = 0.5f * (float)(s->frames - 1);
}

static void hold_path(const Scene *s, Random *r, Thing *t) {
  float speed = log_ranged(r, 0.8, 7) * s->span / 448;
  float spin = random_uniform(r) < 0.35 ? ranged(r, 0.03, 0.11) : ranged(r, 0.004, 0.035);
  path_make(s, r, &t->path, speed, spin, 0);
  t->move_from = -1e6f, t->move_to = 1e6f;
}

/* A thing of one of `n` kinds; its index or -1. */
static int thing_add(Scene *s, Random *r, const ThingKind *kinds, int n) {
  Thing *t = &s->thing[s->things];
  if (!thing_make(t, &s->arena, r, kinds[random_below(r, n)])) return -1;
  t->move_from = -1e6f, t->move_to = 1e6f;
  return s->things++;
}

static const ThingKind one_handed[] = {
    THING_BOTTLE, THING_BOTTLE, THING_CUP,    THING_CUP,    THING_CAN,   THING_BALL,  THING_FRUIT,
    THING_FRUIT,  THING_BANANA, THING_CARTON, THING_CARTON, THING_BOOK,  THING_PHONE, THING_HAMMER,
    THING_DRIVER, THING_KNIFE,  THING_SPOON,  THING_BRUSH,  THING_PEN,   THING_CLOTH, THING_TOY,
    THING_PLATE,  THING_CAR,    THING_BULB,   THING_SPONGE, THING_TORCH, THING_PAN,   THING_PHONE};
static const ThingKind on_table[] = {THING_BOTTLE, THING_CUP,    THING_CAN, THING_BALL,
                                     THING_FRUIT,  THING_CARTON, THING_CAR, THING_TOY,
                                     THING_SPONGE, THING_CARTON, THING_CUP};
static const ThingKind two_handed[] = {THING_BOX, THING_BOX, THING_BOWL, THING_BOOK, THING_PLATE};
static const ThingKind around_us[] = {THING_BOTTLE, THING_CUP,   THING_CAN,   THING_BALL,   THING_FRUIT,
                                      THING_BANANA, THING_BOX,   THING_BOOK,  THING_PHONE,  THING_HAMMER,
                                      THING_DRIVER, THING_KNIFE, THING_SPOON, THING_BRUSH,  THING_PEN,
                                      THING_TOY,    THING_PLATE, THING_BOWL,  THING_CAR,    THING_BULB,
                                      THING_SPONGE, THING_TORCH, THING_PAN,   THING_CARTON, THING_CUP,
                                      THING_BOTTLE, THING_FRUIT, THING_CAN,   THING_PEN,    THING_BOOK};
#define COUNT(list) ((int)(sizeof(list) / sizeof *(list)))

/* A point near the focus: (x, y) in parts of the picture's half width from its centre, `z` metres nearer. */
static V3 spot(const Scene *s, float x, float y, float z) {
  const Pose *c = &s->base.pose;
  V3 p = along(along(along(s->focus, c->x, 0.5f * s->span * x), c->y, 0.5f * s->span * y), c->z, z);
  p.y = maxf(p.y, 0.06f);
  return p;
}

/* The table's point seen at (x, y) as in spot, no further than `margin` to the table's edge. */
static V3 table_spot(const Scene *s, float x, float y, float margin) {
  const Pose *c = &s->base.pose;
  V3 at = along(along(s->focus, c->x, 0.5f * s->span * x), c->y, 0.5f * s->span * y), d = sub(at, c->o);
  float t = d.y < -1e-3f ? -c->o.y / d.y : 1;
  V3 p = along(c->o, d, t);
  float far = hypotf(p.x - s->focus.x, p.z - s->focus.z), most = 0.6f * s->span;
  if (far > most || t < 0) p = v3(mixf(s->focus.x, p.x, most / far), 0, mixf(s->focus.z, p.z, most / far));
  const Room *room = &s->room;
  return v3(clampf(p.x, room->table_low.x + margin, room->table_high.x - margin), 0,
            clampf(p.z, room->table_low.z + margin, room->table_high.z - margin));
}

static int one_hand(Scene *s, Random *r, Actor *a, V3 target) {
  int thing = thing_add(s, r, one_handed, COUNT(one_handed));
  if (thing < 0) return 0;
  people_hold(s, r, &a, 1, thing, target, 0);
  hold_path(s, r, &s->thing[thing]);
  return 1;
}

static void empty_hand(Scene *s, Random *r, Actor *a, V3 target) {
  people_empty(s, r, a, target);
  path_make(s, r, &a->path, log_ranged(r, 0.8, 7) * s->span / 448, ranged(r, 0.01, 0.07), 0);
  a->restless = ranged(r, 0.1, 0.5);
}

static int table_script(Scene *s, Random *r, Actor *a) {
  int thing = thing_add(s, r, on_table, COUNT(on_table));
  if (thing < 0) return 0;
  Thing *t = &s->thing[thing];
  V3 place = table_spot(s, ranged(r, -0.5, 0.5), ranged(r, -0.35, 0.2), t->radius + 0.01f);
  people_hold(s, r, &a, 1, thing, place, 1);
  hold_path(s, r, t);
  float last = (float)(s->frames - 1), when = ranged(r, 0.25, 0.75) * last, take = ranged(r, 5, 10);
  V3 over = scale(direction(r), ranged(r, 0, 0.08));
  t->path.lift = v3(over.x, ranged(r, 0.02, 0.11), over.z);
  if (random_below(r, 2))
    t->path.lift_from = when - take, t->path.lift_to = when, a->to = when + 0.5f;
  else
    t->path.lift_from = when + take, t->path.lift_to = when, a->from = when - 0.5f;
  return 1;
}

static int perform(Scene *s, Random *r, Script script, int ego) {
  /* nobody stands between a low camera and the table */
  static const float around[] = {-1.75f, -1.45f, 1.45f, 1.75f, 3.14f, -0.5f, 0.5f};
  float azimuth = ranged(r, -0.35, 0.35);
  if (!ego) azimuth = around[random_below(r, s->base.pose.z.y > 0.6f ? 7 : 5)] + ranged(r, -0.25, 0.25);
  Person p, q;
  Actor *a, *b = NULL;
  int left = ego || random_below(r, 3) ? azimuth < 0 : azimuth > 0; /* mostly the nearer hand */
  if (ego) left = (int)random_below(r, 2);
  if (!person_make(&p, s, r, 0, azimuth)) return 0;
  float side = left ? -1.0f : 1.0f,
        seen = cosf(azimuth) > 0 ? side : -side; /* where that hand is in the picture */
  if (!(a = person_arm(s, r, &p, left)) || !person_torso(s, a, &p)) return 0;
  if (script >= SCRIPT_TOGETHER && (script != SCRIPT_EMPTY || random_below(r, 3))) {
    int stranger = script == SCRIPT_BESIDE && random_below(r, 3) == 0;
    if (stranger && !person_make(&q, s, r, 1, azimuth + PI * ranged(r, 0.6, 1.2))) return 0;
    if (!(b = person_arm(s, r, stranger ? &q : &p, stranger ? (int)random_below(r, 2) : !left))) return 0;
  }
  float x = b ? ranged(r, 0.22, 0.55) : ranged(r, -0.45, 0.45), y = ranged(r, -0.25, 0.3),
        z = ranged(r, -0.06, 0.08);
  V3 here = spot(s, b ? seen * x : x, y, z),
     there = spot(s, -seen * ranged(r, 0.22, 0.55), ranged(r, -0.25, 0.3), ranged(r, -0.06, 0.06));
  switch (script) {
  case SCRIPT_TABLE: return table_script(s, r, a);
  case SCRIPT_TOGETHER: {
    Actor *both[2] = {a, b};
    int thing = thing_add(s, r, two_handed, COUNT(two_handed));
    if (thing < 0) return 0;
    people_hold(s, r, both, 2, thing, spot(s, ranged(r, -0.15, 0.15), ranged(r, -0.15, 0.2), 0), 0);
    hold_path(s, r, &s->thing[thing]);
    return 1;
  }
  case SCRIPT_EACH: return one_hand(s, r, a, here) && one_hand(s, r, b, there);
  case SCRIPT_BESIDE: empty_hand(s, r, b, there); return one_hand(s, r, a, here);
  case SCRIPT_EMPTY:
    empty_hand(s, r, a, here);
    if (b) empty_hand(s, r, b, there);
    return 1;
  default: return one_hand(s, r, a, here);
  }
}

/* A level path that does not leave the table. */
static void slide_path(const Scene *s, Random *r, Thing *t) {
  path_make(s, r, &t->path, log_ranged(r, 0.8, 6) * s->span / 448, ranged(r, 0, 0.08), 1);
  const Room *room = &s->room;
  V3 o = t->base.o;
  float left = minf(o.x - room->table_low.x, room->table_high.x - o.x);
  float space =
      maxf(0, minf(left, minf(o.z - room->table_low.z, room->table_high.z - o.z)) - 0.7f * t->radius);
  float most = 2 * (norm(t->path.sway[0]) + norm(t->path.sway[1]));
  for (int k = 0; k < 2 && most > space; k++) t->path.sway[k] = scale(t->path.sway[k], space / most);
}

/* Things that nobody holds: lying still, or sliding and rolling by themselves; some like what is held, some
 * like skin. */
static int scatter(Scene *s, Random *r) {
  int held = s->things, n = 1 + (int)random_below(r, 6);
  for (int i = 0; i < n && s->things < THINGS_MAX; i++) {
    int kind = (int)random_below(r, 10), index = s->things;
    if (kind < 3 && held) {
      s->thing[index] = s->thing[random_below(r, held)]; /* the same thing again */
      if (s->thing[index].soft) continue;
      s->things++;
    } else if (thing_add(s, r, around_us, COUNT(around_us)) < 0)
      return 0;
    Thing *t = &s->thing[index];
    if (t->soft) {
      s->things--;
      continue;
    }
    if (kind == 3) {
      V3 skin = colour_near(r, s->hand[0].skin, 0.04f);
      if (!material_make(&t->part[0].material, &s->arena, r, PATTERN_PLAIN, 64, skin, skin, 1, 1, 0.1f, 15))
        return 0;
    }
    memset(&t->path, 0, sizeof t->path);
    int free_place = 0;
    for (int go = 0; go < 12 && !free_place; go++) {
      V3 at = table_spot(s, ranged(r, -1, 1), ranged(r, -0.6, 0.55), t->radius + 0.01f);
      Pose rest = thing_rest(t), yaw = pose_turn(v3(0, 1, 0), ranged(r, 0, 2 * PI));
      t->base = pose_mul(&yaw, &rest);
      t->base.o.x += at.x, t->base.o.z += at.z;
      free_place = 1;
      for (int k = 0; k < index; k++) {
        const Thing *o = &s->thing[k];
        float apart = hypotf(o->base.o.x - t->base.o.x, o->base.o.z - t->base.o.z);
        if (apart < (o->radius + t->radius) * (k >= held || o->base.o.y < 0.1f ? 1 : 0.7f)) free_place = 0;
      }
    }
    if (!free_place)
      s->things--;
    else if (kind >= 8 || (kind < 3 && random_below(r, 2)))
      slide_path(s, r, t);
  }
  return 1;
}

static void body(Scene *s, BodyKind kind, int owner, const Part *part, const Mesh *mesh,
                 const Material *material) {
  const Mesh *m = part ? &part->mesh : mesh;
  if (!m->vertices || s->bodies == BODIES_MAX) return;
  s->body[s->bodies++] = (Body){kind, owner, m, part ? &part->material : material, s->vertices, s->triangles};
  s->vertices += m->vertices, s->triangles += m->triangles;
}

static void collect(Scene *s) {
  static const Material skin = {.skin = 1};
  for (int i = 0; i < s->actors; i++) {
    Actor *a = &s->actor[i];
    body(s, BODY_HAND, i, NULL, &a->hand->mesh, &skin);
    body(s, BODY_SLEEVE, i, &a->sleeve, NULL, NULL);
    body(s, BODY_ARM, i, &a->arm, NULL, NULL);
    body(s, BODY_ARM, i, &a->band, NULL, NULL);
    body(s, BODY_TORSO, i, &a->torso, NULL, NULL);
  }
  for (int i = 0; i < s->things; i++)
    for (int k = 0; k < s->thing[i].parts; k++) body(s, BODY_THING, i, &s->thing[i].part[k], NULL, NULL);
}

/* Moves shoulders outwards until no arm ends within the picture. */
static void out_of_view(Scene *s) {
  for (int i = 0; i < s->actors; i++) {
    Actor *a = &s->actor[i];
    V3 out = unit(v3(a->shoulder.x - s->focus.x, 0.15f, a->shoulder.z - s->focus.z));
    for (int go = 0; go < 12; go++) {
      float x, y, margin = 0.12f * (float)s->width;
      int before = camera_project(&s->base, a->shoulder, &x, &y);
      if (!before || x < -margin || y < -margin || x > (float)s->width + margin ||
          y > (float)s->height + margin)
        break;
      a->shoulder = along(a->shoulder, out, 0.06f);
    }
  }
}

int scene_make(Scene *s, uint64_t seed, uint64_t index, int width, int height, int frames) {
  Random r;
  uint32_t mixed[4];
  memset(s, 0, sizeof *s);
  s->width = width, s->height = height, s->frames = frames;
  random_start(&r, seed, index);
  random_block(seed, index, UINT64_MAX, mixed);
  s->seed = (uint64_t)mixed[0] << 32 | mixed[1];
  int ego = setting_view(s, &r);
  if (!setting_room(s, &r)) return 0;
  static const Script scripts[] = {SCRIPT_CARRY,    SCRIPT_CARRY,    SCRIPT_CARRY,  SCRIPT_CARRY,
                                   SCRIPT_TABLE,    SCRIPT_TABLE,    SCRIPT_TABLE,  SCRIPT_EACH,
                                   SCRIPT_TOGETHER, SCRIPT_TOGETHER, SCRIPT_BESIDE, SCRIPT_BESIDE,
                                   SCRIPT_EMPTY};
  if (!perform(s, &r, scripts[random_below(&r, COUNT(scripts))], ego)) return 0;
  out_of_view(s);
  if (!scatter(s, &r)) return 0;
  collect(s);
  setting_light(s, &r);
  setting_camera(s, &r);
  return 1;
}

void scene_free(Scene *s) { arena_free(&s->arena); }
