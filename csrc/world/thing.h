/* The catalogue of things and the grasps on them. */
#ifndef WORLD_THING_H
#define WORLD_THING_H

#include "world/scene.h"

typedef enum ThingKind {
  THING_BOTTLE,
  THING_CUP,
  THING_CAN,
  THING_BALL,
  THING_FRUIT,
  THING_BANANA,
  THING_BOX,
  THING_BOOK,
  THING_PHONE,
  THING_HAMMER,
  THING_DRIVER,
  THING_KNIFE,
  THING_SPOON,
  THING_BRUSH,
  THING_PEN,
  THING_CLOTH,
  THING_TOY,
  THING_PLATE,
  THING_BOWL,
  THING_CAR,
  THING_BULB,
  THING_SPONGE,
  THING_TORCH,
  THING_PAN,
  THING_CARTON,
  THING_KINDS
} ThingKind;

/* A random thing of a kind. Its coordinates: y up, standing on y = 0; tools point along y, from the handle's
 * end. 0 with a message when memory is short. */
int thing_make(Thing *t, Arena *arena, Random *r, ThingKind kind);

/* How the thing lies or stands on the table, its middle above the origin, in world axes. */
Pose thing_rest(const Thing *t);

/* Signed distance of a point in the thing's coordinates to its solids. */
float thing_distance(const Thing *t, V3 p);

/* A material with a texture of its own. Returns 0 with a message when memory is short. */
int material_make(Material *m, Arena *arena, Random *r, Pattern pattern, int size, V3 base, V3 accent,
                  float repeat_u, float repeat_v, float shine, float sharp);

/* ---- grasps ---- */

/* A hand at a site in the thing's coordinates: `turn` (radians) is the free angle of the site, `tilt` 0..1
 * how far the fingers come from the front. Fingers are not closed yet. */
Pose grasp_place(const Hand *h, int left, const Site *site, float turn, float tilt);

/* Closes the fingers on the thing until they touch; `place` may be moved out of the thing first. */
void grasp_close(const Hand *h, const Thing *t, const Site *site, Pose *place, Random *r, HandPose *closed,
                 HandPose *open);

#endif
