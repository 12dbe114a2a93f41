/* Truth from geometry: a second, unjittered look at each frame tells the triangle and the barycentric
 * coordinates at every pixel centre; the same coordinates on the triangle of another frame give the flow,
 * exactly. */
#include "world/truth.h"

#include <string.h>

int truth_start(Truth *t, Render *r, Arena *arena) {
  const Scene *s = r->scene;
  size_t pixels = (size_t)s->width * (size_t)s->height;
  memset(t, 0, sizeof *t);
  t->render = r;
  t->label = arena_take(arena, pixels);
  t->bary = arena_take(arena, pixels * sizeof *t->bary);
  for (int i = 0; i < 2 * NEIGHBOURS + 1; i++) {
    t->ring_frame[i] = -1;
    if (!(t->ring[i] = arena_take(arena, (size_t)s->vertices * sizeof(V3)))) return 0;
  }
  return t->label && t->bary;
}

/* Vertex positions of a frame, posed when first asked for. */
static const V3 *positions(Truth *t, int frame) {
  int slot = frame % (2 * NEIGHBOURS + 1);
  if (t->ring_frame[slot] != frame) {
    scene_pose(t->render->scene, (float)frame, t->ring[slot], t->render->n);
    t->ring_frame[slot] = frame;
  }
  return t->ring[slot];
}

/* The label of a body's point; a hand ends at the wrist. */
static int label_of(const Render *r, int triangle, const float b[3]) {
  const Body *body = &r->scene->body[r->body_of[triangle]];
  const int *v = r->triangle[triangle], first = body->first_vertex;
  switch (body->kind) {
  case BODY_HAND: {
    const V3 *rest = body->mesh->p;
    float y = rest[v[0] - first].y * b[0] + rest[v[1] - first].y * b[1] + rest[v[2] - first].y * b[2];
    return (y > 0 ? LABEL_HAND : LABEL_ARM) + body->owner;
  }
  case BODY_SLEEVE:
  case BODY_ARM: return LABEL_ARM + body->owner;
  case BODY_TORSO: return LABEL_TORSO;
  default: return LABEL_THING + body->owner;
  }
}

void truth_landmarks(const Scene *s, const Actor *a, float time, float mark[LANDMARKS][2]) {
  HandPose pose;
  Pose frame[PHALANGES], place = actor_hand(s, a, time, &pose);
  V3 local[LANDMARKS];
  Camera camera = scene_camera(s, time);
  hand_frames(a->hand, &pose, frame);
  hand_landmarks(a->hand, frame, local);
  for (int i = 0; i < LANDMARKS; i++)
    if (!camera_project(&camera, pose_point(&place, local[i]), &mark[i][0], &mark[i][1]))
      mark[i][0] = mark[i][1] = -1e5f;
}

/* A pixel of the hand near the landmarks' mean,
 * away from the mask's border where the hand is thick enough. */
static void choose_query(const Truth *t, Seen *seen) {
  const Scene *s = t->render->scene;
  int w = s->width, h = s->height, label = LABEL_HAND + seen->actor;
  float x0 = 0, y0 = 0, best = 1e30f;
  for (int i = 0; i < LANDMARKS; i++) x0 += seen->mark[i][0] / LANDMARKS, y0 += seen->mark[i][1] / LANDMARKS;
  for (int y = 0; y < h; y++)
    for (int x = 0; x < w; x++) {
      const unsigned char *at = t->label + (size_t)y * (size_t)w + (size_t)x;
      if (*at != label) continue;
      int inner = x > 1 && y > 1 && x + 2 < w && y + 2 < h && at[-2] == label && at[2] == label &&
                  at[-2 * w] == label && at[2 * w] == label;
      float cost = hypotf((float)x - x0, (float)y - y0) + (inner ? 0 : 12);
      if (cost < best) best = cost, seen->query[0] = x, seen->query[1] = y;
    }
}

static void find_hands(Truth *t, int frame) {
  const Scene *s = t->render->scene;
  size_t pixels = (size_t)s->width * (size_t)s->height;
  int count[256] = {0};
  for (size_t i = 0; i < pixels; i++) count[t->label[i]]++;
  int enough = (int)(pixels / 1300) + 6;
  t->hands = 0;
  for (int i = 0; i < s->actors; i++) {
    const Actor *a = &s->actor[i];
    if (count[LABEL_HAND + i] < enough) continue;
    Seen *seen = &t->seen[t->hands++];
    *seen = (Seen){.actor = i, .thing = actor_holds(a, (float)frame) ? a->thing : -1};
    seen->hand_pixels = count[LABEL_HAND + i];
    if (seen->thing >= 0) seen->object_pixels = count[LABEL_THING + seen->thing];
    truth_landmarks(s, a, (float)frame, seen->mark);
    choose_query(t, seen);
  }
}

void truth_frame(Truth *t, int frame) {
  Render *r = t->render;
  const Scene *s = r->scene;
  Camera camera = scene_camera(s, (float)frame);
  render_visible(r, positions(t, frame), &camera, 0, 0);
  size_t i = 0;
  for (int y = 0; y < s->height; y++)
    for (int x = 0; x < s->width; x++, i++) {
      if (r->seen[i] >= 0) {
        render_bary(r, r->seen[i], (float)x, (float)y, t->bary[i]);
        t->label[i] = (unsigned char)label_of(r, r->seen[i], t->bary[i]);
        continue;
      }
      V3 normal;
      const Material *material;
      float uv[2];
      V3 p = room_hit(s, &camera, (float)x, (float)y, &normal, &material, uv);
      t->bary[i][0] = p.x, t->bary[i][1] = p.y, t->bary[i][2] = p.z;
      t->label[i] = LABEL_ROOM;
    }
  find_hands(t, frame);
}

void truth_flow(Truth *t, int frame, int to, float *flow) {
  const Render *r = t->render;
  const Scene *s = r->scene;
  const V3 *p = positions(t, to);
  Camera camera = scene_camera(s, (float)to), now = scene_camera(s, (float)frame);
  int still = !memcmp(&camera, &now, sizeof camera);
  size_t i = 0;
  for (int y = 0; y < s->height; y++)
    for (int x = 0; x < s->width; x++, i++) {
      const float *b = t->bary[i];
      float tx = (float)x, ty = (float)y;
      if (r->seen[i] >= 0) {
        const int *v = r->triangle[r->seen[i]];
        V3 there = along(along(scale(p[v[0]], b[0]), p[v[1]], b[1]), p[v[2]], b[2]);
        camera_project(&camera, there, &tx, &ty);
      } else if (!still) {
        camera_project(&camera, v3(b[0], b[1], b[2]), &tx, &ty);
      }
      flow[2 * i] = clampf(tx - (float)x, -511, 511), flow[2 * i + 1] = clampf(ty - (float)y, -511, 511);
    }
}
