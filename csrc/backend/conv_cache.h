/* Packed weights: see conv_cache.c. */
#ifndef BACKEND_CONV_CACHE_H
#define BACKEND_CONV_CACHE_H

#include "backend/conv_parts.h"

typedef struct Packed Packed;

/* The weights of c in the order of m; keep: found with, or left with, the storage of `weight`. NULL with a
 * message. */
Packed *packed_weights(const Corr *c, Method m, const Tensor *weight, bool keep);
const float *packed_data(const Packed *p);
void packed_done(Packed *p); /* NULL is allowed */

#endif
