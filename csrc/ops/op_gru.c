/* gru_reset and gru_update: a gated recurrent unit but for its products, which are convolutions or matrix
 * products of their own:
 *
 *   gates = A [h, x]      s = gru_reset(gates, [h, x]) = [r h, x]      q = B s      h' = gru_update(gates, [h, x], q)
 */
#include "ops/gru_sizes.h"

#include "ops/bodies_gru.h"

enum { NUMBERS = 1 << 13 };

static long grain(const Call *c) { return NUMBERS / (gru_depth(c) + 1) + 1; }

static bool same_rows(const Tensor *a, const Tensor *b) {
  return a->rank == b->rank && !memcmp(a->shape, b->shape, (size_t)(a->rank - 1) * sizeof *a->shape);
}

static int gru_shape(Call *c) {
  const Tensor *gates = c->in[GATES], *state = c->in[STATE],
               *q = c->nin > CANDIDATE ? c->in[CANDIDATE] : NULL;
  for (int i = 0; i < c->nin; i++)
    if (!want_real(c, i)) return 0;
  if (!gates->rank || last_of(gates) % 2)
    return call_fail(c, "gates: expected an even number of channels, found %s", tensor_text(gates));
  if (!same_rows(gates, state) || last_of(state) < gru_channels(c))
    return call_fail(c, "state: expected the rows of %s with at least %ld channels, found %s",
                     tensor_text(gates), gru_channels(c), tensor_text(state));
  if (!q) return call_out(c, 0, c->dtype, state->rank, state->shape);
  if (!same_rows(gates, q) || last_of(q) != gru_channels(c))
    return call_fail(c, "candidate: expected the rows of %s with %ld channels, found %s", tensor_text(gates),
                     gru_channels(c), tensor_text(q));
  return call_out(c, 0, c->dtype, q->rank, q->shape);
}

static int reset_run(Call *c) {
  real *y = output(c, 0);
  return y && HOT_EACH(gru_reset, gru_rows(c), grain(c), .c = gru_channels(c), .d = gru_depth(c),
                       .gates = input(c, GATES), .state = input(c, STATE), .y = y);
}

static int update_run(Call *c) {
  real *y = output(c, 0);
  return y && HOT_EACH(gru_update, gru_rows(c), grain(c), .c = gru_channels(c), .d = gru_depth(c),
                       .gates = input(c, GATES), .candidate = input(c, CANDIDATE), .state = input(c, STATE),
                       .y = y);
}

/* The gradients that are wanted. */
static int gradients(Call *c, real **to, bool *add) {
  for (int i = 0; i < c->nin; i++)
    if (c->needs_grad[i] && !(to[i] = call_grad(c, i, add + i))) return 0;
  return 1;
}

static int reset_back(Call *c) {
  real *to[CANDIDATE + 1] = {NULL};
  bool add[CANDIDATE + 1] = {false};
  if (!grad_out(c, 0)) return 1;
  return gradients(c, to, add) &&
         HOT_EACH(gru_reset_back, gru_rows(c), grain(c), .c = gru_channels(c), .d = gru_depth(c),
                  .gates = input(c, GATES), .state = input(c, STATE), .dy = grad_out(c, 0),
                  .dgates = to[GATES], .dstate = to[STATE], .gates_add = add[GATES], .state_add = add[STATE]);
}

static int update_back(Call *c) {
  real *to[CANDIDATE + 1] = {NULL};
  bool add[CANDIDATE + 1] = {false};
  if (!grad_out(c, 0)) return 1;
  return gradients(c, to, add) &&
         HOT_EACH(gru_update_back, gru_rows(c), grain(c), .c = gru_channels(c), .d = gru_depth(c),
                  .gates = input(c, GATES), .candidate = input(c, CANDIDATE), .state = input(c, STATE),
                  .dy = grad_out(c, 0), .dgates = to[GATES], .dcandidate = to[CANDIDATE], .dstate = to[STATE],
                  .gates_add = add[GATES], .candidate_add = add[CANDIDATE], .state_add = add[STATE]);
}

static int gru_sample(Call *c, Random *r, int variant) {
  static const long samples[][5] = {/* n, h, w, channels, others in the state */
                                    {2, 2, 3, 4, 3}, {1, 3, 2, 5, 0},  {1, 1, 1, 1, 1},
                                    {0, 2, 2, 3, 1}, {1, 4, 3, 17, 6}, {1, 2, 2, 0, 3}};
  if (variant >= (int)(sizeof samples / sizeof *samples)) return -1;
  const long *s = samples[variant];
  return sample_input(c, GATES, r, 4, SHAPE(s[0], s[1], s[2], 2 * s[3])) &&
         sample_input(c, STATE, r, 4, SHAPE(s[0], s[1], s[2], s[3] + s[4])) &&
         (c->op->form == GRU_RESET || sample_input(c, CANDIDATE, r, 4, SHAPE(s[0], s[1], s[2], s[3])));
}

DESCRIPTOR op_gru_reset = {
    .name = "gru_reset",
    .form = GRU_RESET,
    .args = "gates state",
    .doc = "a GRU's state ...,D of h and its input, with sigmoid(r) h for h; gates ...,2C "
           "are of update and reset, h the first C numbers of a row",
    .shape = gru_shape,
    .sample = gru_sample};
const Kernel REALNAME(cpu_gru_reset) = {.forward = reset_run, .backward = reset_back};
DESCRIPTOR op_gru_update = {.name = "gru_update",
                            .form = GRU_UPDATE,
                            .args = "gates state candidate",
                            .doc = "a GRU's next h ...,C: h + sigmoid(z) (tanh(candidate) - h), of gates and "
                                   "state as gru_reset has them",
                            .shape = gru_shape,
                            .sample = gru_sample};
const Kernel REALNAME(cpu_gru_update) = {.forward = update_run, .backward = update_back};
