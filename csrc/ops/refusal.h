/* What kernels refuse in the values that they read, said alike by every device: where the host computes they fail
 * with refuse_value(), a GPU keeps the number of the refusal and what it found until the host asks (cuda/refusals.h). */
#ifndef OPS_REFUSAL_H
#define OPS_REFUSAL_H

typedef enum Refusal {
  REFUSE_CLASS = 1, /* classes, found */
  REFUSE_PART,      /* parts, found */
  REFUSE_IMAGE,     /* hand (from 1), images, found */
  REFUSE_QUERY,     /* hand (from 1), x, y */
} Refusal;

#pragma GCC visibility push(default) /* for the shared objects of devices */

/* fail_value() with the refusal's numbers, in the order above. Always 0. */
int refuse_value(Refusal refusal, double a, double b, double c);

#pragma GCC visibility pop

#endif
