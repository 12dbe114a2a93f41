/* 3 x 3 convolution with stride 1 by tiles of 4 x 4. */
#define WINOGRAD_EDGE 4
#define WINOGRAD_METHOD conv_winograd4
#include "backend/conv_winograd_method.h"
