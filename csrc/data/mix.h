/* Pictures made of two samples, so that one shows more hands than either: attention must tell them apart. */
#ifndef DATA_MIX_H
#define DATA_MIX_H

#include "data/augment.h"

/* PASTE: the hands and objects of the second lie upon the first (copy-paste, Ghiasi et al., CVPR 2021); JOIN: the two
 * stand side by side, each cut to a window around one of its hands. */
typedef enum Mixing { APART, PASTE, JOIN } Mixing;

/* Which of them a sample gets, by the probabilities a->paste and a->join. */
Mixing mix_draw(const Augment *a, Random *r);

/* Makes `a` the picture of both, with a->kept hands. Both are of one size, augmented; the maps and the points of b's
 * hands follow those of a's in memory. Hands that cannot be seen at their points are dropped; where none could be, `a`
 * stays as it is. 0 with a message when memory is short. */
int mix(Mixing how, const Labelling *l, Random *r, Slot *a, const Slot *b);

#endif
