/* core.flow: optical flow and person masks for Lua. Images are uint8 H×W×3 or H×W, flows float32 H×W×2, masks
 * uint8 H×W. Checks shapes and passes on; what is computed is told in motion/flow.h and motion/person.h. */
#include "lua/lib.h"
#include "motion/flow.h"
#include "motion/person.h"

void open_flow(lua_State *L); /* sets core.flow = { dis, pair, check, person } */

enum { HANDS_MAX = 1000, FLOWS_MAX = 64 };

/* Forward-backward tolerances of the validity mask, where none are given (Sundaram et al. 2010). */
static const double relative = 0.01, absolute = 0.5;

static Tensor *check_image(lua_State *L, int i, const char *what, Device **device) {
  Tensor *t = check_motion(L, i, what, U8, -1, device);
  if (t->rank != 2 && !(t->rank == 3 && t->shape[2] == 3))
    refuse(L, "%s: expected HxWx3 or HxW, found %s", what, tensor_text(t));
  return t;
}

static Tensor *check_flow(lua_State *L, int i, const char *what, Device **device) {
  Tensor *t = check_motion(L, i, what, F32, 3, device);
  if (t->shape[2] != 2) refuse(L, "%s: expected HxWx2, found %s", what, tensor_text(t));
  return t;
}

static int compare(const Tensor *f, const Tensor *g, double a, double b, Tensor **out) {
  if (!(*out = tensor_on(f->device, U8, 2, f->shape))) return 0;
  uint8_t *valid = tensor_write(*out);
  return valid && flow_check(f->device, tensor_data(f), tensor_data(g), f->shape[0], f->shape[1], (float)a,
                             (float)b, valid);
}

/* The image at i, of a's shape and on its device. */
static Tensor *check_like(lua_State *L, int i, Tensor *a, Device **device) {
  Tensor *b = check_image(L, i, "second image", device);
  if (!tensor_same_shape(a, b))
    refuse(L, "flow: expected two images of one shape, found %s and %s", tensor_text(a), tensor_text(b));
  return b;
}

/* pair(a, b): refuses what is no pair of images */
static int pair(lua_State *L) {
  Device *device = NULL;
  Tensor *a = check_image(L, 1, "first image", &device);
  check_like(L, 2, a, &device);
  return 0;
}

/* dis(a, b, …) → the flows from a to each of the others */
static int dis(lua_State *L) {
  Device *device = NULL;
  Tensor *a = check_image(L, 1, "first image", &device);
  const int n = lua_gettop(L) > 2 ? lua_gettop(L) - 1 : 1;
  const long h = a->shape[0], w = a->shape[1];
  if (n > FLOWS_MAX)
    return refuse(L, "flow: expected at most %d images beside the first, found %d", FLOWS_MAX, n);
  luaL_checkstack(L, n, NULL);
  const uint8_t *b[FLOWS_MAX];
  float *flow[FLOWS_MAX];
  for (int i = 0; i < n; i++) b[i] = tensor_data(check_like(L, 2 + i, a, &device));
  for (int i = 0; i < n; i++) {
    Tensor **t = push_tensor(L);
    if (!(*t = tensor_on(a->device, F32, 3, (long[]){h, w, 2})) || !(flow[i] = tensor_write(*t)))
      return raise_error(L);
  }
  return flow_dis(a->device, tensor_data(a), b, n, h, w, a->rank == 3 ? 3 : 1, flow) ? n : raise_error(L);
}

/* check(forward, backward, relative?, absolute?) → mask */
static int check(lua_State *L) {
  Device *device = NULL;
  Tensor *f = check_flow(L, 1, "forward flow", &device), *g = check_flow(L, 2, "backward flow", &device);
  double a = lua_isnoneornil(L, 3) ? relative : check_finite(L, 3, "flow check: relative"),
         b = lua_isnoneornil(L, 4) ? absolute : check_finite(L, 4, "flow check: absolute");
  if (!tensor_same_shape(f, g))
    return refuse(L, "flow check: expected two flows of one shape, found %s and %s", tensor_text(f),
                  tensor_text(g));
  Tensor **valid = push_tensor(L);
  if (!compare(f, g, a, b, valid)) return raise_error(L);
  return 1;
}

/* person(image, list of V×2 float32) → mask, 255 on the hands with these landmarks and their forearms */
static int person(lua_State *L) {
  Tensor *image = check_tensor_of(L, 1, "image", U8, 3);
  if (image->shape[2] != 3) return refuse(L, "image: expected HxWx3, found %s", tensor_text(image));
  if (!lua_istable(L, 2))
    return refuse(L, "hands: expected a list of tensors, found %s", luaL_typename(L, 2));
  const int count = (int)check_list(L, 2, "hands", HANDS_MAX);
  PersonHand *hands = lua_newuserdatauv(L, (size_t)(count + 1) * sizeof *hands, 0);
  luaL_checkstack(L, count + 4, NULL);
  for (int k = 0; k < count;
       k++) { /* the tensors stay on the stack, so that they live as long as they are read */
    lua_rawgeti(L, 2, k + 1);
    Tensor *t = check_tensor_of(L, -1, "hand", F32, 2);
    if (t->shape[1] != 2 || t->shape[0] < 1)
      return refuse(L, "hand %d: expected Vx2 points, found %s", k + 1, tensor_text(t));
    hands[k] = (PersonHand){tensor_data(t), (int)t->shape[0]};
  }
  Tensor **out = push_tensor(L);
  if (!(*out = tensor_new(U8, 2, image->shape))) return raise_error(L);
  uint8_t *mask = tensor_write(*out);
  if (!mask || !person_mask(tensor_data(image), image->shape[0], image->shape[1], hands, count, mask))
    return raise_error(L);
  return 1;
}

void open_flow(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"dis", dis}, {"pair", pair}, {"check", check}, {"person", person}, {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_setfield(L, -2, "flow");
}
