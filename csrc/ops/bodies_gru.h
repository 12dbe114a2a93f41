/* The gates of a gated recurrent unit on rows of channels (Cho et al., EMNLP 2014), as RAFT's, whose products
 * are convolutions. A row of gates holds what goes into the sigmoids: c of the update gate, c of the reset gate; a
 * row of the state c numbers h and, behind them, others that belong to the unit's input. Index i is a row. */
#ifndef OPS_BODIES_GRU_H
#define OPS_BODIES_GRU_H

#include "ops/bodies_math.h"
#include "ops/hot.h"

/* y = r h, and what is behind h as it is; r = sigmoid(gate) */
struct gru_reset_args {
  long c, d; /* numbers of h, of a row of the state */
  const real *gates;
  const real *state;
  real *y;
};

BODY void gru_reset_body(const struct gru_reset_args *a, long i) {
  const real *restrict gate = a->gates + i * 2 * a->c + a->c;
  const real *restrict h = a->state + i * a->d;
  real *restrict y = a->y + i * a->d;
  for (long k = 0; k < a->c; k++) y[k] = h[k] * SIGMOID(gate[k]);
  for (long k = a->c; k < a->d; k++) y[k] = h[k];
}
HOT_KERNEL(gru_reset)

/* d..: NULL: not wanted; …_add: to what is there */
struct gru_reset_back_args {
  long c, d;
  const real *gates;
  const real *state;
  const real *dy;
  real *dgates;
  real *dstate;
  bool gates_add;
  bool state_add;
};

BODY void gru_reset_back_body(const struct gru_reset_back_args *a, long i) {
  const real *gate = a->gates + i * 2 * a->c + a->c, *h = a->state + i * a->d, *dy = a->dy + i * a->d;
  real *dg = a->dgates ? a->dgates + i * 2 * a->c : NULL, *dh = a->dstate ? a->dstate + i * a->d : NULL;
  for (long k = 0; k < a->c; k++) {
    real r = SIGMOID(gate[k]);
    if (dg && !a->gates_add) dg[k] = 0;
    if (dg) dg[a->c + k] = (a->gates_add ? dg[a->c + k] : 0) + dy[k] * h[k] * r * (1 - r);
    if (dh) dh[k] = (a->state_add ? dh[k] : 0) + dy[k] * r;
  }
  for (long k = a->c; dh && k < a->d; k++) dh[k] = (a->state_add ? dh[k] : 0) + dy[k];
}
HOT_KERNEL(gru_reset_back)

/* y = h + z (tanh(candidate) - h); z = sigmoid(gate) */
struct gru_update_args {
  long c, d;
  const real *gates;
  const real *candidate;
  const real *state;
  real *y;
};

BODY void gru_update_body(const struct gru_update_args *a, long i) {
  const real *restrict gate = a->gates + i * 2 * a->c;
  const real *restrict q = a->candidate + i * a->c;
  const real *restrict h = a->state + i * a->d;
  real *restrict y = a->y + i * a->c;
  for (long k = 0; k < a->c; k++) y[k] = h[k] + SIGMOID(gate[k]) * (TANH(q[k]) - h[k]);
}
HOT_KERNEL(gru_update)

struct gru_update_back_args {
  long c, d;
  const real *gates;
  const real *candidate;
  const real *state;
  const real *dy;
  real *dgates;
  real *dcandidate;
  real *dstate;
  bool gates_add;
  bool candidate_add;
  bool state_add;
};

BODY void gru_update_back_body(const struct gru_update_back_args *a, long i) {
  const real *gate = a->gates + i * 2 * a->c, *q = a->candidate + i * a->c, *h = a->state + i * a->d;
  const real *dy = a->dy + i * a->c;
  real *dg = a->dgates ? a->dgates + i * 2 * a->c : NULL,
       *dq = a->dcandidate ? a->dcandidate + i * a->c : NULL;
  real *dh = a->dstate ? a->dstate + i * a->d : NULL;
  for (long k = 0; k < a->c; k++) {
    real z = SIGMOID(gate[k]), t = TANH(q[k]);
    if (dg) dg[k] = (a->gates_add ? dg[k] : 0) + dy[k] * (t - h[k]) * z * (1 - z);
    if (dg && !a->gates_add) dg[a->c + k] = 0;
    if (dq) dq[k] = (a->candidate_add ? dq[k] : 0) + dy[k] * z * (1 - t * t);
    if (dh) dh[k] = (a->state_add ? dh[k] : 0) + dy[k] * (1 - z);
  }
  for (long k = a->c; dh && !a->state_add && k < a->d; k++) dh[k] = 0;
}
HOT_KERNEL(gru_update_back)

#endif
