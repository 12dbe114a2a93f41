/* Calls of gru_reset and gru_update as their kernels see them, for every device. */
#ifndef OPS_GRU_SIZES_H
#define OPS_GRU_SIZES_H

#include "ops/op_kit.h"

enum { GRU_RESET, GRU_UPDATE }; /* forms */
enum { GATES, STATE, CANDIDATE };

static inline long last_of(const Tensor *t) { return t->rank ? t->shape[t->rank - 1] : 0; }
static inline long gru_channels(const Call *c) { return last_of(c->in[GATES]) / 2; }
static inline long gru_depth(const Call *c) { return last_of(c->in[STATE]); }
static inline long gru_rows(const Call *c) { return extent(c->in[GATES]->shape, 0, c->in[GATES]->rank - 1); }

#endif
