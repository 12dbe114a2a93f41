/* What the files of the catalogue build things with. A Maker remembers failure, so that recipes read straight
 * on; thing_make looks once at the end. */
#ifndef WORLD_MAKER_H
#define WORLD_MAKER_H

#include "world/thing.h"

typedef struct Maker {
  Thing *t;
  Arena *arena;
  Random *r;
  int failed;
} Maker;

static const V3 AXIS_X = {1, 0, 0}, AXIS_Y = {0, 1, 0}, AXIS_Z = {0, 0, 1};
static const V3 ANY_SIDE = {0, 0, 0}; /* as a site's reach */

static inline float between(Maker *k, double a, double b) { return (float)random_range(k->r, a, b); }
static inline int chance(Maker *k, double p) { return random_uniform(k->r) < p; }
static inline V3 vivid(Maker *k) { return colour_any(k->r, 0.45, 1, 0.3, 0.95); }
static inline V3 dull(Maker *k) { return colour_any(k->r, 0, 0.35, 0.1, 0.95); }
static inline V3 any_colour(Maker *k) { return chance(k, 0.6) ? vivid(k) : dull(k); }

/* A new part with a material of its own; its mesh is still empty. */
Part *make_part(Maker *k, Pattern pattern, int size, V3 base, V3 accent, float repeat_u, float repeat_v,
                float shine, float sharp);
/* One more part with the last part's material. */
Part *make_again(Maker *k);

/* Meshes of parts: lathed about y, a box around `centre` of half sizes h, and a round bar with swelling half
 * widths along n points. */
void make_revolve(Maker *k, Part *p, const float (*profile)[2], int n);
void make_box(Maker *k, Part *p, V3 centre, V3 h, float round);
void make_bar(Maker *k, Part *p, const V3 *at, const float *a, const float *b, int n);
void make_move(Part *p, const Pose *to);

/* Coarse solids for the fingers (see Solid) and places to hold (see Site). */
void make_solid(Maker *k, SolidKind kind, V3 a, V3 b, float ra, float rb);
void make_solid_revolved(Maker *k, const float (*profile)[2], int n);
void make_site(Maker *k, GraspKind kind, V3 at, V3 axis, V3 reach, float size);

void thing_bottle(Maker *k);
void thing_cup(Maker *k);
void thing_can(Maker *k);
void thing_plate(Maker *k);
void thing_bowl(Maker *k);
void thing_bulb(Maker *k);
void thing_torch(Maker *k);
void thing_hammer(Maker *k);
void thing_driver(Maker *k);
void thing_knife(Maker *k);
void thing_spoon(Maker *k);
void thing_brush(Maker *k);
void thing_pen(Maker *k);
void thing_pan(Maker *k);
void thing_ball(Maker *k);
void thing_fruit(Maker *k);
void thing_banana(Maker *k);
void thing_carton(Maker *k);
void thing_big_box(Maker *k);
void thing_book(Maker *k);
void thing_phone(Maker *k);
void thing_sponge(Maker *k);
void thing_cloth(Maker *k);
void thing_toy(Maker *k);
void thing_car(Maker *k);

#endif
