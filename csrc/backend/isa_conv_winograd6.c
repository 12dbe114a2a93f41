/* 3 x 3 convolution with stride 1 by tiles of 6 x 6. */
#define WINOGRAD_EDGE 6
#define WINOGRAD_METHOD conv_winograd6
#include "backend/conv_winograd_method.h"
