/* Gradients of 3 x 3 weights by tiles of 4 x 4. */
#define WINOGRAD_EDGE 4
#define WINOGRAD_METHOD weight_winograd4
#include "backend/conv_weight_winograd_method.h"
