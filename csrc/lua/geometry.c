/* core.homography and core.responsibility. A scene comes from Lua as a table
 *   { flows = { H×W×2 float32, ... }, hands = { V×2 float64, ... }, content = { width, height } or nil }
 * and motions as float64 tensors. Checks shapes and passes on; what is computed is told in motion/. Knows
 * nothing of clips, and keeps nothing between calls. */
#include "lua/lib.h"
#include "motion/cut.h"
#include "motion/epipolar.h"
#include "motion/gaps.h"
#include "motion/homography.h"
#include "motion/level.h"
#include "motion/parts.h"
#include "motion/refine.h"
#include "motion/responsibility.h"
#include "motion/sharpen.h"

#include <limits.h>
#include <math.h>
#include <string.h>

enum { GAPS_MAX = 10000, HANDS_MAX = 1000 };

/* Memory that Lua owns, on top of the stack. */
static void *block(lua_State *L, size_t count, size_t size) {
  void *p = lua_newuserdatauv(L, count * size + 1, 0);
  memset(p, 0, count * size + 1);
  return p;
}

static Model check_model(lua_State *L, int i) {
  const char *name = lua_isnoneornil(L, i) ? "homography" : check_text(L, i, "model");
  for (int m = 0; m < MODELS; m++)
    if (!strcmp(name, model_name[m])) return (Model)m;
  refuse(L, "model: expected homography, affine, similarity or translation, found %s", name);
  return MODEL_HOMOGRAPHY;
}

/* true: a threshold found from the points (0); a number: that many pixels; nil or false: not robust. */
static bool check_robust(lua_State *L, int i, double *threshold) {
  *threshold = 0;
  if (lua_isnoneornil(L, i) || lua_isboolean(L, i)) return lua_toboolean(L, i);
  if (lua_type(L, i) == LUA_TNUMBER) *threshold = lua_tonumber(L, i);
  if (!(*threshold > 0 && *threshold < INFINITY))
    refuse(L, "robust: expected true, false or pixels above 0, found %s", found(L, i));
  return true;
}

/* ---- homographies ---- */

/* fit(source, target, model, robust) → 3×3, share of inliers */
static int fit_points(lua_State *L) {
  Tensor *source = check_tensor_of(L, 1, "source", F64, 2), *target = check_tensor_of(L, 2, "target", F64, 2);
  if (source->shape[1] != 2) return refuse(L, "source: expected shape Nx2, found %s", tensor_text(source));
  if (!tensor_same_shape(source, target))
    return refuse(L, "target: expected shape %s, found %s", tensor_text(source), tensor_text(target));
  Model model = check_model(L, 3);
  double threshold, m[9], inliers = 1;
  bool robust = check_robust(L, 4, &threshold);
  Tensor **out = push_tensor(L);
  const double *p = tensor_data(source), *q = tensor_data(target);
  int ok = robust ? homography_fit_robust(model, source->shape[0], p, q, threshold, 0, m, &inliers)
                  : homography_fit(model, source->shape[0], p, q, NULL, m);
  if (!ok || !(*out = tensor_new(F64, 2, (long[]){3, 3}))) return raise_error(L);
  memcpy(tensor_write(*out), m, sizeof m);
  lua_pushnumber(L, inliers);
  return 2;
}

/* ---- scenes ---- */

static void read_flows(lua_State *L, int list, Scene *s) {
  s->gaps = (int)check_list(L, list, "flows", GAPS_MAX);
  if (s->gaps < 1) refuse(L, "flows: expected at least one, found none");
  const float **flow = block(L, (size_t)s->gaps, sizeof *flow);
  lua_createtable(L, s->gaps, 0); /* copies of what lies elsewhere live here */
  const int kept = lua_gettop(L);
  for (int g = 0; g < s->gaps; g++) {
    lua_rawgeti(L, list, g + 1);
    const char *what = lua_pushfstring(L, "flows[%d]", g + 1);
    Tensor *t = check_motion(L, -2, what, F32, 3, &s->device);
    if (t->shape[2] != 2 || t->size == 0)
      refuse(L, "%s: expected shape HxWx2, found %s", what, tensor_text(t));
    if (g == 0) s->height = t->shape[0], s->width = t->shape[1];
    if (t->shape[0] != s->height || t->shape[1] != s->width)
      refuse(L, "%s: expected shape %Ix%Ix2 as the first, found %s", what, (lua_Integer)s->height,
             (lua_Integer)s->width, tensor_text(t));
    flow[g] = tensor_data(t);
    lua_pop(L, 1);
    lua_rawseti(L, kept, g + 1);
  }
  s->flow = flow;
}

static void read_hands(lua_State *L, int list, Scene *s) {
  s->hands = (int)check_list(L, list, "hands", HANDS_MAX);
  const double **vertices = block(L, (size_t)s->hands, sizeof *vertices);
  long *count = block(L, (size_t)s->hands, sizeof *count);
  for (int k = 0; k < s->hands; k++) {
    lua_rawgeti(L, list, k + 1);
    const char *what = lua_pushfstring(L, "hands[%d]", k + 1);
    Tensor *t = check_tensor_of(L, -2, what, F64, 2);
    if (t->shape[1] != 2 || t->size == 0) refuse(L, "%s: expected shape Vx2, found %s", what, tensor_text(t));
    vertices[k] = tensor_data(t), count[k] = t->shape[0];
    for (long i = 0; i < t->size; i++)
      if (!(fabs(vertices[k][i]) < 1e9))
        refuse(L, "%s: vertex %I: expected finite coordinates, found %f", what, (lua_Integer)(i / 2 + 1),
               vertices[k][i]);
    lua_pop(L, 2);
  }
  s->vertices = vertices, s->vertex_count = count;
}

/* The scene at argument 1; leaves a few blocks on the stack. The tensors stay alive in the table. */
static Scene check_scene(lua_State *L) {
  Scene s = {0};
  check_table(L, 1, "responsibility: scene");
  lua_getfield(L, 1, "flows");
  read_flows(L, lua_gettop(L), &s);
  lua_getfield(L, 1, "hands");
  read_hands(L, lua_gettop(L), &s);
  s.content_width = s.width, s.content_height = s.height;
  if (lua_getfield(L, 1, "content") != LUA_TNIL) {
    check_table(L, -1, "content");
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    lua_Integer w = check_whole(L, -2, "content: width", LUA_MININTEGER, LUA_MAXINTEGER);
    lua_Integer h = check_whole(L, -1, "content: height", LUA_MININTEGER, LUA_MAXINTEGER);
    if (w < 1 || w > s.width || h < 1 || h > s.height)
      refuse(L, "content: expected 1x1 to %Ix%I pixels, found %Ix%I", (lua_Integer)s.width,
             (lua_Integer)s.height, w, h);
    s.content_width = (long)w, s.content_height = (long)h;
  }
  return s;
}

/* ---- fits ---- */

static int push_motions(lua_State *L, const HandFit *fit, int rank, const long *shape) {
  Tensor **out = push_tensor(L);
  if (!(*out = tensor_new(F64, rank, shape))) return raise_error(L);
  double *m = tensor_write(*out);
  if (!m) return raise_error(L);
  for (long i = 0; 9 * i < (*out)->size; i++) memcpy(m + 9 * i, fit[i].m, sizeof fit[i].m);
  return 1;
}

/* { { error, inliers, model }, ... } */
static void push_fits(lua_State *L, const HandFit *fit, long count) {
  lua_createtable(L, (int)count, 0);
  for (long i = 0; i < count; i++) {
    lua_createtable(L, 0, 3);
    lua_pushnumber(L, fit[i].error);
    lua_setfield(L, -2, "error");
    lua_pushnumber(L, fit[i].inliers);
    lua_setfield(L, -2, "inliers");
    lua_pushstring(L, model_name[fit[i].model]);
    lua_setfield(L, -2, "model");
    lua_rawseti(L, -2, i + 1);
  }
}

/* targets: for every hand a list with, for every gap, V×2 float64 or false. */
static const double **check_targets(lua_State *L, int list, const Scene *s) {
  check_table(L, list, "targets");
  const double **target = block(L, (size_t)(s->hands * s->gaps), sizeof *target);
  for (int k = 0; k < s->hands; k++) {
    if (lua_rawgeti(L, list, k + 1) != LUA_TTABLE)
      refuse(L, "targets[%d]: expected a list, found %s", k + 1, found(L, -1));
    for (int g = 0; g < s->gaps; g++) {
      lua_rawgeti(L, -1, g + 1);
      if (lua_toboolean(L, -1)) {
        Tensor *t = check_tensor_of(L, -1, "targets", F64, 2);
        if (t->shape[0] != s->vertex_count[k] || t->shape[1] != 2)
          refuse(L, "targets[%d]: expected shape %Ix2, found %s", k + 1, (lua_Integer)s->vertex_count[k],
                 tensor_text(t));
        target[k * s->gaps + g] = tensor_data(t);
      }
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  return target;
}

/* fit(scene, { model, points, robust, fall_back, targets }) → G×N×3×3, list of { error, inliers, model } */
static int fit_hands(lua_State *L) {
  check_table(L, 2, "fit");
  lua_settop(L, 2);
  Scene s = check_scene(L);
  Fit fit = {0};
  lua_getfield(L, 2, "model");
  fit.model = check_model(L, lua_gettop(L));
  lua_getfield(L, 2, "points");
  fit.points = lua_isnil(L, -1) ? 0 : (long)check_whole(L, -1, "points", 0, 1000000);
  lua_getfield(L, 2, "robust");
  fit.robust = check_robust(L, lua_gettop(L), &fit.threshold);
  lua_getfield(L, 2, "fall_back");
  fit.fall_back = lua_toboolean(L, -1);
  if (lua_getfield(L, 2, "targets") != LUA_TNIL) fit.targets = check_targets(L, lua_gettop(L), &s);
  HandFit *out = block(L, (size_t)(s.gaps * s.hands), sizeof *out);
  if (!responsibility_fit(&s, &fit, out)) return raise_error(L);
  push_motions(L, out, 4, (long[]){s.gaps, s.hands, 3, 3});
  push_fits(L, out, (long)s.gaps * s.hands);
  return 2;
}

/* background(scene, threshold) → G×3×3, list of { error, inliers, model } */
static int fit_background(lua_State *L) {
  double threshold = check_finite(L, 2, "threshold");
  Scene s = check_scene(L);
  HandFit *out = block(L, (size_t)s.gaps, sizeof *out);
  if (!responsibility_background(&s, threshold, out)) return raise_error(L);
  push_motions(L, out, 3, (long[]){s.gaps, 3, 3});
  push_fits(L, out, s.gaps);
  return 2;
}

/* epipolar(scene, threshold) → G×3×3 fundamental matrices, list of { error, inliers, model } */
static int fit_epipolar(lua_State *L) {
  double threshold = check_finite(L, 2, "threshold");
  Scene s = check_scene(L);
  HandFit *out = block(L, (size_t)s.gaps, sizeof *out);
  if (!epipolar_background(&s, threshold, out)) return raise_error(L);
  push_motions(L, out, 3, (long[]){s.gaps, 3, 3});
  push_fits(L, out, s.gaps);
  return 2;
}

/* choose(scene, threshold) → what each kind of background costs: { static, homography, epipolar } */
static int choose(lua_State *L) {
  double threshold = check_finite(L, 2, "threshold"), cost[GROUNDS];
  Scene s = check_scene(L);
  if (!epipolar_choose(&s, threshold, cost)) return raise_error(L);
  lua_createtable(L, 0, GROUNDS);
  for (int g = 0; g < GROUNDS; g++) {
    lua_pushnumber(L, cost[g]);
    lua_setfield(L, -2, ground_name[g]);
  }
  return 1;
}

/* ---- maps ---- */

/* The motions at arguments 2 (G×N×3×3) and 3 (G×3×3 or nil) and the hands' means. */
static Planes check_planes(lua_State *L, const Scene *s) {
  Tensor *motion = check_tensor_of(L, 2, "homographies", F64, 4), *ground = NULL;
  if (motion->shape[0] != s->gaps || motion->shape[1] != s->hands || motion->size != 9L * s->gaps * s->hands)
    refuse(L, "homographies: expected shape %dx%dx3x3, found %s", s->gaps, s->hands, tensor_text(motion));
  if (!lua_isnoneornil(L, 3)) {
    ground = check_tensor_of(L, 3, "background homographies", F64, 3);
    if (ground->shape[0] != s->gaps || ground->size != 9L * s->gaps)
      refuse(L, "background homographies: expected shape %dx3x3, found %s", s->gaps, tensor_text(ground));
  }
  double *centre = block(L, 2 * (size_t)s->hands, sizeof *centre);
  for (int k = 0; k < s->hands; k++)
    for (long i = 0; i < 2 * s->vertex_count[k]; i++)
      centre[2 * k + i % 2] += s->vertices[k][i] / (double)s->vertex_count[k];
  return (Planes){s->gaps, s->hands, tensor_data(motion), centre, ground ? tensor_data(ground) : NULL};
}

/* map(scene, homographies, background?, temperature, closeness?) → H×W×(N+1) */
static int map(lua_State *L) {
  double temperature = check_finite(L, 4, "temperature"),
         closeness = lua_isnoneornil(L, 5) ? 0 : check_finite(L, 5, "closeness");
  if (!(temperature > 0)) return refuse(L, "temperature: expected pixels above 0, found %f", temperature);
  if (!(closeness >= 0)) return refuse(L, "closeness: expected hand sizes above 0, found %f", closeness);
  Scene s = check_scene(L);
  Planes planes = check_planes(L, &s);
  Tensor **out = push_tensor(L);
  if (!(*out = tensor_on(s.device, F32, 3, (long[]){s.height, s.width, s.hands + 1}))) return raise_error(L);
  float *pixels = tensor_write(*out);
  if (!pixels || !responsibility_map(&s, &planes, temperature, pixels) ||
      (closeness > 0 && !responsibility_closeness(&s, closeness, pixels)))
    return raise_error(L);
  return 1;
}

/* epipolar_map(scene, homographies, fundamental G×3×3, temperature or 0, closeness?) → H×W×(N+1), with temperature 0 the
 * residuals G×H×W×(N+1); of flows on the host */
static int map_epipolar(lua_State *L) {
  lua_settop(L, 5);
  const double temperature = check_finite(L, 4, "temperature"),
               closeness = lua_isnil(L, 5) ? 0 : check_finite(L, 5, "closeness");
  if (!(temperature >= 0)) return refuse(L, "temperature: expected pixels above 0, found %f", temperature);
  if (!(closeness >= 0)) return refuse(L, "closeness: expected hand sizes above 0, found %f", closeness);
  Scene s = check_scene(L);
  if (s.device != device_cpu()) return refuse(L, "flows: expected tensors on cpu, found others");
  Planes planes = check_planes(L, &s); /* the matrices have the homographies' shape */
  const bool all = temperature == 0;
  const long shape[4] = {s.gaps, s.height, s.width, s.hands + 1};
  Tensor **out = push_tensor(L);
  if (!planes.background) return refuse(L, "fundamental: expected shape %dx3x3, found nil", s.gaps);
  if (!(*out = tensor_new(F32, all ? 4 : 3, all ? shape : shape + 1))) return raise_error(L);
  float *pixels = tensor_write(*out);
  if (!pixels || !epipolar_map(&s, &planes, planes.background, temperature, pixels) ||
      (closeness > 0 && !all && !responsibility_closeness(&s, closeness, pixels)))
    return raise_error(L);
  return 1;
}

/* residuals(scene, homographies, background?) → G×H×W×(N+1) */
static int residuals(lua_State *L) {
  lua_settop(L, 3);
  Scene s = check_scene(L);
  Planes planes = check_planes(L, &s);
  Tensor **out = push_tensor(L);
  if (!(*out = tensor_on(s.device, F32, 4, (long[]){s.gaps, s.height, s.width, s.hands + 1})))
    return raise_error(L);
  float *pixels = tensor_write(*out);
  if (!pixels || !responsibility_residuals(&s, &planes, pixels)) return raise_error(L);
  return 1;
}

/* motion(scene, background?) → G×N: how far the hands move against the background, pixels */
static int motion(lua_State *L) {
  Tensor *ground = lua_isnoneornil(L, 2) ? NULL : check_tensor_of(L, 2, "background homographies", F64, 3);
  Scene s = check_scene(L);
  if (ground && (ground->shape[0] != s.gaps || ground->size != 9L * s.gaps))
    return refuse(L, "background homographies: expected shape %dx3x3, found %s", s.gaps, tensor_text(ground));
  HandFit *fit = block(L, (size_t)s.gaps, sizeof *fit);
  for (int g = 0; ground && g < s.gaps; g++)
    memcpy(fit[g].m, (const double *)tensor_data(ground) + 9 * g, sizeof fit[g].m);
  Tensor **out = push_tensor(L);
  if (!(*out = tensor_new(F64, 2, (long[]){s.gaps, s.hands}))) return raise_error(L);
  double *length = tensor_write(*out);
  if (!length || !responsibility_motion(&s, ground ? fit : NULL, length)) return raise_error(L);
  return 1;
}

/* by_motion(gaps, motion G×N) → those of the gaps that are chosen for the hands, in their order */
static int by_motion(lua_State *L) {
  int n = (int)check_list(L, 1, "gaps", GAPS_MAX);
  const Tensor *far = check_tensor_of(L, 2, "motion", F64, 2);
  if (far->shape[0] != n || far->shape[1] > HANDS_MAX)
    return refuse(L, "motion: expected %d gaps, found %s", n, tensor_text(far));
  long *gaps = block(L, (size_t)n, sizeof *gaps);
  bool *chosen = block(L, (size_t)n, sizeof *chosen);
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, 1, i + 1);
    gaps[i] = (long)check_whole(L, -1, "gap", -LONG_MAX, LONG_MAX);
    lua_pop(L, 1);
  }
  gaps_by_motion(n, gaps, (int)far->shape[1], tensor_data(far), chosen);
  lua_newtable(L);
  for (int i = 0, kept = 0; i < n; i++)
    if (chosen[i]) {
      lua_pushinteger(L, gaps[i]);
      lua_rawseti(L, -2, ++kept);
    }
  return 1;
}

/* Raises unless image and map are of a scene's size. */
static void check_fits(lua_State *L, const Scene *s, const Tensor *image, const Tensor *given) {
  if (given->shape[0] != s->height || given->shape[1] != s->width || given->shape[2] != s->hands + 1)
    refuse(L, "map: expected %dx%dx%d, found %s", (int)s->height, (int)s->width, s->hands + 1,
           tensor_text(given));
  if (image->shape[0] != s->height || image->shape[1] != s->width || image->shape[2] != 3)
    refuse(L, "image: expected %dx%dx3, the size of the map, found %s", (int)s->height, (int)s->width,
           tensor_text(image));
}

/* sharpen(scene, image, map, "cut" | "walker") → H×W×(N+1) */
static int sharpen(lua_State *L) {
  lua_settop(L, 4);
  Scene s = check_scene(L);
  Tensor *given = check_motion(L, 3, "map", F32, 3, &s.device),
         *image = check_motion(L, 2, "image", U8, 3, &s.device);
  check_fits(L, &s, image, given);
  int how = 0;
  const char *name = check_text(L, 4, "sharpen");
  while (how < SHARPENS && strcmp(name, sharpen_name[how])) how++;
  if (how == SHARPENS) return refuse(L, "sharpen: expected cut or walker, found %s", name);
  Tensor **out = push_tensor(L);
  if (!(*out = tensor_on(s.device, F32, 3, given->shape))) return raise_error(L);
  float *pixels = tensor_write(*out);
  if (!pixels || !sharpen_maps(&s, (Sharpen)how, tensor_data(image), tensor_data(given), pixels))
    return raise_error(L);
  return 1;
}

/* level(map H×W×(N+1), cut, the same) → H×W×(N+1), N agreements float64 */
static int level(lua_State *L) {
  const Tensor *given = check_tensor_of(L, 1, "map", F32, 3), *masks = check_tensor_of(L, 2, "cut", F32, 3);
  const long *shape = given->shape;
  if (shape[2] < 1 || shape[2] > HANDS_MAX + 1 || memcmp(shape, masks->shape, 3 * sizeof *shape))
    return refuse(L, "cut: expected the shape of the map %s, found %s", tensor_text(given),
                  tensor_text(masks));
  const long hands = shape[2] - 1;
  Tensor **out = push_tensor(L), **agreement = push_tensor(L);
  if (!(*out = tensor_new(F32, 3, shape)) || !(*agreement = tensor_new(F64, 1, &hands)))
    return raise_error(L);
  level_maps(shape[0] * shape[1], (int)hands, tensor_data(given), tensor_data(masks), tensor_write(*out),
             tensor_write(*agreement));
  return 2;
}

/* parts(scene, image, map) → hands N×H×W, objects N×H×W, both 0 or 1 */
static int parts(lua_State *L) {
  lua_settop(L, 3);
  Scene s = check_scene(L);
  const Tensor *image = check_tensor_of(L, 2, "image", U8, 3), *given = check_tensor_of(L, 3, "map", F32, 3);
  check_fits(L, &s, image, given);
  Tensor **hand = push_tensor(L), **object = push_tensor(L);
  const long shape[3] = {s.hands, s.height, s.width};
  if (!(*hand = tensor_new(U8, 3, shape)) || !(*object = tensor_new(U8, 3, shape))) return raise_error(L);
  uint8_t *one = tensor_write(*hand), *other = tensor_write(*object);
  if (!one || !other || !parts_split(&s, tensor_data(image), tensor_data(given), one, other))
    return raise_error(L);
  return 2;
}

/* cut(colours H×W×3, odds H×W, smooth) → H×W, 0 or 1 */
static int cut(lua_State *L) {
  const Tensor *colours = check_tensor_of(L, 1, "colours", F32, 3),
               *odds = check_tensor_of(L, 2, "odds", F32, 2);
  const double smooth = check_finite(L, 3, "smooth");
  if (colours->shape[0] != odds->shape[0] || colours->shape[1] != odds->shape[1] || colours->shape[2] != 3)
    return refuse(L, "colours: expected the size of the odds %s, found %s", tensor_text(odds),
                  tensor_text(colours));
  if (!(smooth >= 0 && smooth <= 1000))
    return refuse(L, "smooth: expected nats of 0 to 1000, found %f", smooth);
  Tensor **out = push_tensor(L);
  if (!(*out = tensor_new(F32, 2, odds->shape))) return raise_error(L);
  float *mask = tensor_write(*out);
  if (!mask ||
      !cut_mask(tensor_data(colours), odds->shape[0], odds->shape[1], tensor_data(odds), (float)smooth, mask))
    return raise_error(L);
  return 1;
}

/* refine(image H×W×3, odds H×W, domain H×W or nil) → H×W, 0 or 1: see motion/refine.h */
static int refine(lua_State *L) {
  lua_settop(L, 3);
  const Tensor *image = check_tensor_of(L, 1, "image", U8, 3), *odds = check_tensor_of(L, 2, "odds", F32, 2),
               *domain = lua_isnil(L, 3) ? NULL : check_tensor_of(L, 3, "domain", U8, 2);
  const long *shape = image->shape;
  if (shape[2] != 3 || memcmp(shape, odds->shape, 2 * sizeof *shape))
    return refuse(L, "image: expected the size of the odds %s with 3 channels, found %s", tensor_text(odds),
                  tensor_text(image));
  if (domain && memcmp(shape, domain->shape, 2 * sizeof *shape))
    return refuse(L, "domain: expected the size of the odds %s, found %s", tensor_text(odds),
                  tensor_text(domain));
  Tensor **out = push_tensor(L);
  if (!(*out = tensor_new(F32, 2, shape))) return raise_error(L);
  float *mask = tensor_write(*out);
  if (!mask || !refine_mask(tensor_data(image), shape[0], shape[1], tensor_data(odds),
                            domain ? tensor_data(domain) : NULL, mask))
    return raise_error(L);
  return 1;
}

void open_geometry(lua_State *L) { /* stack: module */
  static const luaL_Reg homography[] = {{"fit", fit_points}, {NULL, NULL}};
  static const luaL_Reg responsibility[] = {{"fit", fit_hands},   {"background", fit_background},
                                            {"map", map},         {"residuals", residuals},
                                            {"motion", motion},   {"by_motion", by_motion},
                                            {"sharpen", sharpen}, {"level", level},
                                            {"cut", cut},         {"epipolar", fit_epipolar},
                                            {"choose", choose},   {"epipolar_map", map_epipolar},
                                            {"parts", parts},     {"refine", refine},
                                            {NULL, NULL}};
  luaL_newlib(L, homography);
  lua_setfield(L, -2, "homography");
  luaL_newlib(L, responsibility);
  lua_setfield(L, -2, "responsibility");
}
