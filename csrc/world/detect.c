/* A model of a landmark detector, after MediaPipe's errors on real clips: about one hand in eight is missed
 * (small, hidden and blurred ones more often), errors drift slowly and differ per joint, hidden joints are
 * guessed, sides are now and then confused, and a few clips have a hand where there is none. */
#include "world/detect.h"

#include <string.h>

static float normal(Random *r) { return (float)random_normal(r); }

void detector_start(Detector *d, const Scene *s, uint64_t seed, uint64_t index) {
  memset(d, 0, sizeof *d);
  Random *r = &d->random;
  random_start(r, seed, index | (uint64_t)1 << 63); /* a stream of its own */
  for (int i = 0; i < ACTORS_MAX; i++) {
    for (int k = 0; k < LANDMARKS; k++) d->drift[i][k][0] = normal(r), d->drift[i][k][1] = normal(r);
    d->shift[i][0] = normal(r), d->shift[i][1] = normal(r);
    int bad = random_uniform(r) < 0.04;
    d->gross[i][0] = bad ? 1 + 0.2f * normal(r) : 1, d->gross[i][1] = bad ? 0.3f * normal(r) : 0;
    d->miss[i] = random_uniform(r) < 0.05 ? 1 : (float)random_range(r, 0, 0.1);
    d->flipped[i] = random_uniform(r) < 0.04;
  }
  d->ghost_from = (int)random_below(r, s->frames), d->ghost_to = d->ghost_from + 1 + (int)random_below(r, 6);
  if (random_uniform(r) > 0.08) d->ghost_to = d->ghost_from; /* none */
  float size = (float)s->width * (float)random_range(r, 0.12, 0.3), turn = (float)random_range(r, 0, 2 * PI);
  float x = (float)s->width * (float)random_uniform(r), y = (float)s->height * (float)random_uniform(r);
  Pose frame[PHALANGES];
  V3 mark[LANDMARKS];
  HandPose pose = hand_gesture((int)random_below(r, HAND_GESTURES), r);
  hand_frames(&s->hand[0], &pose, frame);
  hand_landmarks(&s->hand[0], frame, mark);
  for (int k = 0; k < LANDMARKS; k++) {
    float u = mark[k].x * size / 0.19f, v = (mark[k].y - 0.09f) * size / 0.19f;
    d->ghost[k][0] = x + u * cosf(turn) - v * sinf(turn),
    d->ghost[k][1] = y + u * sinf(turn) + v * cosf(turn);
  }
}

/* The bounding box x0, y0, x1, y1. */
static void box_of(const float mark[LANDMARKS][2], float *box) {
  box[0] = box[1] = 1e9f, box[2] = box[3] = -1e9f;
  for (int k = 0; k < LANDMARKS; k++)
    for (int c = 0; c < 2; c++) {
      box[c] = minf(box[c], mark[k][c]);
      box[2 + c] = maxf(box[2 + c], mark[k][c]);
    }
}

static int write_hand(JsonWriter *out, int left, double score, const float mark[LANDMARKS][2], int decimals) {
  float box[4];
  box_of(mark, box);
  int ok = json_open(out, '{') && json_add_key(out, "side") && json_add_text(out, left ? "left" : "right") &&
           json_add_key(out, "score") && json_add_fixed(out, score, 4) && json_add_key(out, "vertices") &&
           json_open(out, '[');
  for (int k = 0; k < LANDMARKS && ok; k++)
    ok = json_open(out, '[') && json_add_fixed(out, mark[k][0], decimals) &&
         json_add_fixed(out, mark[k][1], decimals) && json_close(out, ']');
  ok = ok && json_close(out, ']') && json_add_key(out, "box") && json_open(out, '[');
  for (int c = 0; c < 4 && ok; c++) ok = json_add_fixed(out, box[c], decimals);
  return ok && json_close(out, ']') && json_close(out, '}');
}

int exact_hands(const Truth *t, JsonWriter *out) {
  int ok = json_open(out, '[');
  for (int i = 0; i < t->hands && ok; i++) {
    const Seen *seen = &t->seen[i];
    ok = write_hand(out, t->render->scene->actor[seen->actor].left, 1, seen->mark, 3);
  }
  return ok && json_close(out, ']');
}

/* The label under a landmark, or -1 outside of the picture. */
static int label_at(const Truth *t, const float at[2]) {
  const Scene *s = t->render->scene;
  int x = (int)lrintf(clampf(at[0], -9, 99999)), y = (int)lrintf(clampf(at[1], -9, 99999));
  if (x < 0 || y < 0 || x >= s->width || y >= s->height) return -1;
  return t->label[(size_t)y * (size_t)s->width + (size_t)x];
}

/* One hand's landmarks as detected; 0 when it is missed. Draws the same count of numbers either way. */
static int distort(Detector *d, const Truth *t, const Seen *seen, float out[LANDMARKS][2], double *score) {
  Random *r = &d->random;
  int a = seen->actor, hidden = 0, outside = 0;
  float box[4], cx = 0, cy = 0;
  box_of(seen->mark, box);
  for (int k = 0; k < LANDMARKS; k++) cx += seen->mark[k][0] / LANDMARKS, cy += seen->mark[k][1] / LANDMARKS;
  float size = sqrtf(maxf(1, (box[2] - box[0]) * (box[3] - box[1])));
  for (int c = 0; c < 2; c++) d->shift[a][c] = 0.9f * d->shift[a][c] + 0.436f * normal(r);
  float grow = d->gross[a][0], turn = d->gross[a][1];
  for (int k = 0; k < LANDMARKS; k++) {
    int label = label_at(t, seen->mark[k]), unseen = label != LABEL_HAND + a;
    hidden += unseen, outside += label < 0;
    for (int c = 0; c < 2; c++) d->drift[a][k][c] = 0.85f * d->drift[a][k][c] + 0.527f * normal(r);
    float jitter[2] = {normal(r), normal(r)}, rough = unseen ? 2 : 1;
    float dx = (seen->mark[k][0] - cx) * grow, dy = (seen->mark[k][1] - cy) * grow;
    out[k][0] = cx + dx * cosf(turn) - dy * sinf(turn);
    out[k][1] = cy + dx * sinf(turn) + dy * cosf(turn);
    for (int c = 0; c < 2; c++)
      out[k][c] +=
          size * (0.018f * d->shift[a][c] + rough * (0.022f * d->drift[a][k][c] + 0.007f * jitter[c]));
  }
  float chance = d->miss[a] + 0.25f * (float)(hidden > 14) + 0.5f * (float)(outside > 7);
  float seen_part = (float)seen->hand_pixels / (0.35f * size * size + 1);
  if (seen_part < 0.5f) chance += 0.4f;
  double luck = random_uniform(r);
  *score = 0.99 - 0.4 * random_uniform(r) * (hidden + 2) / LANDMARKS;
  return luck >= chance;
}

int detected_hands(Detector *d, const Truth *t, int frame, JsonWriter *out) {
  float mark[LANDMARKS][2];
  double score;
  int ok = json_open(out, '[');
  for (int i = 0; i < t->hands && ok; i++) {
    const Seen *seen = &t->seen[i];
    if (!distort(d, t, seen, mark, &score)) continue;
    int left = t->render->scene->actor[seen->actor].left ^ d->flipped[seen->actor];
    ok = write_hand(out, left, score, (const float(*)[2])mark, 1);
  }
  if (ok && frame >= d->ghost_from && frame < d->ghost_to) {
    for (int k = 0; k < LANDMARKS; k++)
      for (int c = 0; c < 2; c++) mark[k][c] = d->ghost[k][c] + 0.8f * normal(&d->random);
    ok = write_hand(out, frame & 1, 0.55, (const float(*)[2])mark, 1);
  }
  return ok && json_close(out, ']');
}
