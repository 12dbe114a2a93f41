/* Gradients of 3 x 3 weights by tiles of 6 x 6. */
#define WINOGRAD_EDGE 6
#define WINOGRAD_METHOD weight_winograd6
#include "backend/conv_weight_winograd_method.h"
