/* softmax, log_softmax and cross_entropy (ops/op_softmax.c), and normalise (ops/op_attention.c): rows of channels. */
#include "cuda/op_kit.h"

#include "cuda/kernels/softmax.h"
#include "cuda/refusals.h"

static long channels_of(const Call *c) { return c->in[0]->shape[c->in[0]->rank - 1]; }
static long rows_of(const Call *c) { return channels_of(c) ? c->in[0]->size / channels_of(c) : 0; }

/* ---- softmax, log_softmax ---- */
static int soft_forward(Call *c, bool logarithm) {
  float *y = output(c, 0);
  return y && softmax_on(stream_of(c), rows_of(c), channels_of(c), c->dtype, input(c, 0), y, logarithm) &&
         (!c->training || call_save(c, 0, c->out[0]));
}

static int soft_backward(Call *c, bool logarithm) {
  const float *dy = grad_out(c, 0);
  bool add;
  float *g = dy ? call_grad(c, 0, &add) : NULL;
  return !dy || (g && softmax_back_on(stream_of(c), rows_of(c), channels_of(c), c->dtype, saved(c, 0), dy, g,
                                      add, logarithm));
}

static int softmax_forward(Call *c) { return soft_forward(c, false); }
static int softmax_backward(Call *c) { return soft_backward(c, false); }
static int log_softmax_forward(Call *c) { return soft_forward(c, true); }
static int log_softmax_backward(Call *c) { return soft_backward(c, true); }

/* ---- cross_entropy ---- */
enum { LOGITS, LABEL };            /* inputs */
enum { LOG_SUM, WEIGHT, REFUSED }; /* saved */

static int entropy_forward(Call *c) {
  long rows = rows_of(c), channels = channels_of(c);
  Refusals refusals;
  Tensor *sums = call_save_new(c, LOG_SUM, F32, 1, &rows), *kept = call_save_new(c, WEIGHT, F32, 0, NULL);
  float *lse = sums ? tensor_write(sums) : NULL, *weight = kept ? tensor_write(kept) : NULL,
        *y = output(c, 0);
  float *scratch = call_scratch(c, entropy_scratch(rows, channels) * sizeof *scratch);
  return lse && weight && y && scratch && cuda_refusals(c, REFUSED, &refusals) &&
         entropy_on(stream_of(c), rows, channels, c->dtype, input(c, LOGITS), input(c, LABEL), lse, y, weight,
                    scratch, refusals);
}

static int entropy_backward(Call *c) {
  const float *dy = grad_out(c, 0);
  bool add;
  float *g = dy ? call_grad(c, LOGITS, &add) : NULL;
  return !dy || (g && entropy_back_on(stream_of(c), rows_of(c), channels_of(c), c->dtype, input(c, LOGITS),
                                      input(c, LABEL), saved(c, LOG_SUM), dy, saved(c, WEIGHT),
                                      tensor_data(c->saved[REFUSED]), g, add));
}

/* ---- normalise ---- */
static int normalise_forward(Call *c) {
  long rows = rows_of(c);
  Tensor *kept = call_save_new(c, 0, F32, 1, &rows);
  float *inverse = kept ? tensor_write(kept) : NULL, *y = output(c, 0);
  return inverse && y && normalise_on(stream_of(c), rows, channels_of(c), c->dtype, input(c, 0), inverse, y);
}

static int normalise_backward(Call *c) {
  const float *dy = grad_out(c, 0);
  bool add;
  float *g = dy ? call_grad(c, 0, &add) : NULL;
  return !dy || (g && normalise_back_on(stream_of(c), rows_of(c), channels_of(c), c->dtype, input(c, 0),
                                        saved(c, 0), dy, g, add));
}

const Kernel cuda_softmax = {.forward = softmax_forward, .backward = softmax_backward};
const Kernel cuda_log_softmax = {.forward = log_softmax_forward, .backward = log_softmax_backward};
const Kernel cuda_cross_entropy = {.forward = entropy_forward, .backward = entropy_backward};
const Kernel cuda_normalise = {.forward = normalise_forward, .backward = normalise_backward};
