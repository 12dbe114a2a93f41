/* One clip as data: what is in it and how everything moves. scene_make draws it from random numbers; every
 * other file only reads it. Time is measured in frames and is continuous: shutters open between frames.
 *
 *   Scene ─┬── Thing[] ── Part[]   rigid (or hanging cloth): mesh + material, at thing_pose(time)
 *          ├── Actor[] ── Hand     a hand with arm and sleeve: holds a thing, reaches, leaves, or is empty
 *          ├── Room, Light, Camera, Film
 *          └── Body[]              all meshes in drawing order, with their places in the arrays of vertices
 */
#ifndef WORLD_SCENE_H
#define WORLD_SCENE_H

#include "world/hand.h"
#include "world/texture.h"

#include <stdint.h>

enum { THINGS_MAX = 14, PARTS_MAX = 6, SOLIDS_MAX = 8, SITES_MAX = 4, ACTORS_MAX = 4, BODIES_MAX = 96 };

typedef struct Material {
  const Texture *texture;
  float repeat_u, repeat_v;
  float shine; /* strength of the highlight */
  float sharp; /* its exponent */
  int two_sided;
  int skin; /* colour from the mesh's paint */
} Material;

typedef struct Part {
  Mesh mesh;
  Material material;
} Part;

/* Smooth bounded motion: waves of two frequencies per axis, zero at `middle`, and a lift that ends at
 * `landing`. */
typedef struct Path {
  V3 sway[2], turn[2]; /* amplitudes: metres, radians */
  float speed[2];      /* radians per frame */
  float phase[2][6];
  float middle;
  V3 lift; /* offset that eases to 0 from time lift_from to lift_to (either order) */
  float lift_from, lift_to;
} Path;

/* ---- things ---- */

typedef enum SolidKind { SOLID_BOX, SOLID_REVOLVED, SOLID_LIMB, SOLID_ELLIPSOID } SolidKind;

/* A coarse solid for fingers to close on, in the thing's coordinates. */
typedef struct Solid {
  SolidKind kind;
  V3 a, b;                   /* box: centre, half sizes; limb: ends; ellipsoid: centre, half axes */
  float ra, rb;              /* limb: radii; box: rounding */
  const float (*profile)[2]; /* revolved about y: (radius, height), rising */
  int n;
} Solid;

typedef enum GraspKind {
  GRASP_WRAP,  /* fingers around an axis */
  GRASP_PINCH, /* fingertips against the thumb's tip */
  GRASP_EDGE,  /* a flat thing between fingers and thumb */
  GRASP_PALM   /* a flat hand on one side, for two hands on one thing */
} GraspKind;

/* A place to hold: `axis` is where the thumb points (wrap), the width between fingertips (pinch), the thing's
 * flat normal (edge) or the outward normal (palm); `reach` is the direction from which the hand comes, or 0
 * for any. */
typedef struct Site {
  GraspKind kind;
  V3 at, axis, reach;
  float size; /* half the thickness there */
} Site;

typedef struct Thing {
  const char *name;
  Part part[PARTS_MAX];
  int parts;
  Solid solid[SOLIDS_MAX];
  int solids;
  Site site[SITES_MAX];
  int sites;
  int soft;     /* cloth: sways below its origin */
  int upright;  /* carried upright as a rule */
  float radius; /* of a circle on the table that it needs */
  Pose base;    /* where it stands, lies or is held at the path's middle */
  Path path;
  float move_from, move_to; /* it moves by its path only then; before and after it lies still */
} Thing;

/* ---- people ---- */

/* Tubes (sleeves, bare arms) keep (angle × TUBE_RADIUS, metres from the wrist, relative width) as rest
 * positions. */
#define TUBE_RADIUS 0.05f

typedef struct Actor {
  const Hand *hand;
  int left;
  int thing;      /* what it holds, or -1 */
  Pose grip;      /* the hand in the thing's coordinates while it holds */
  float from, to; /* it holds while from <= time < to */
  HandPose closed, open;
  V3 leave;  /* world direction in which it comes and goes */
  Pose base; /* an empty hand's place at the path's middle */
  Path path;
  uint32_t fidget;   /* seed of the fingers' small motions */
  float restless;    /* their size, radians */
  V3 shoulder, pole; /* pole: which way the elbow points */
  float upper;       /* length of the upper arm */
  /* arm: the bare upper arm; band: a watch or bracelet; meshes without vertices where there is none */
  Part sleeve, arm, band, torso;
  float cuff; /* distance from the wrist at which the sleeve begins */
  uint32_t folds;
  float loose; /* the sleeve's width beyond the arm */
} Actor;

/* ---- room, light, camera, film ---- */

typedef struct Camera {
  Pose pose;           /* x right, y up, z backwards */
  float focal, cx, cy; /* pixels */
} Camera;

typedef struct Room {
  Material floor, wall[4], table, rim;
  V3 low, high;             /* the room's box: floor at low.y */
  V3 table_low, table_high; /* the table's slab, its top at y = 0 */
} Room;

typedef struct Light {
  V3 key; /* unit, towards it */
  V3 key_colour, sky, ground;
  float blur;           /* the penumbra's width on the table, metres */
  float flicker, drift; /* relative change of brightness: waves, and from the first to the last frame */
  uint32_t seed;
} Light;

typedef struct Film {
  float shutter;       /* open for this part of a frame */
  float soft;          /* Gaussian blur, pixels */
  float noise, chroma; /* deviations at half brightness, of full scale */
  float exposure, contrast, vignette;
  V3 balance;
} Film;

typedef enum BodyKind { BODY_THING, BODY_HAND, BODY_SLEEVE, BODY_ARM, BODY_TORSO } BodyKind;

typedef struct Body {
  BodyKind kind;
  int owner; /* index of the thing or actor */
  const Mesh *mesh;
  const Material *material;
  int first_vertex, first_triangle;
} Body;

typedef struct Scene {
  int width, height, frames;
  uint64_t seed;
  Arena arena;
  Hand hand[2]; /* two people at most */
  Thing thing[THINGS_MAX];
  int things;
  Actor actor[ACTORS_MAX];
  int actors;
  Body body[BODIES_MAX];
  int bodies, vertices, triangles;
  Room room;
  Light light;
  Film film;
  Camera base;                /* at the middle of the clip */
  float pan[3], jitter, zoom; /* pan, tilt, roll per frame in radians; shake in radians; zoom per frame */
  V3 dolly;                   /* metres per frame */
  uint32_t shake;
  V3 focus;   /* what the camera looks at */
  float span; /* metres across the picture at the focus */
} Scene;

/* Draws clip `index` of the world `seed`. 0 with a message when memory is short; scene_free in any case. */
int scene_make(Scene *s, uint64_t seed, uint64_t index, int width, int height, int frames);
void scene_free(Scene *s);

/* Everything at a moment: world positions and unit normals of all vertices (scene.vertices each). */
void scene_pose(const Scene *s, float time, V3 *p, V3 *n);
Camera scene_camera(const Scene *s, float time);
Pose thing_pose(const Thing *t, float time);
Pose actor_hand(const Scene *s, const Actor *a, float time, HandPose *pose);
int actor_holds(const Actor *a, float time);
V3 actor_elbow(const Actor *a, V3 wrist);
/* Image position (x, y) of a world point; 0 when it is behind the camera. */
static inline int camera_project(const Camera *c, V3 world, float *x, float *y) {
  V3 q = pose_local(&c->pose, world);
  float near = 1 / maxf(-q.z, 1e-3f);
  *x = c->cx + c->focal * q.x * near, *y = c->cy - c->focal * q.y * near;
  return -q.z > 0.02f;
}
float light_level(const Scene *s, float time);

#endif
