/* Collate: how the tensors of samples become those of a batch, as the fields of a source say. */
#ifndef DATA_COLLATE_H
#define DATA_COLLATE_H

#include "data/loader.h"

/* samples[i][f] is field f of sample i. Fills out[f] for every field; of no samples, tensors of no elements. What
 * it has filled is the caller's also when it fails. 0 with a message. */
int collate(const SampleSource *s, Tensor *(*samples)[FIELDS_MAX], long count, Tensor **out);

#endif
