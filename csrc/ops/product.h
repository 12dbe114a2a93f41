/* A product of matrices, or of stacks of them. */
#ifndef OPS_PRODUCT_H
#define OPS_PRODUCT_H

#include <stdbool.h>

/* c (+)= op(a) op(b): one product of the stack; a stack of 1 on one side serves all of the other. */
typedef struct Product {
  long batch, m, n, k, a_step, b_step; /* steps from one matrix to the next: 0 when shared */
  bool ta, tb;
} Product;

#endif
