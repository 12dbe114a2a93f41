/* The plain path in both precisions: float64 for gradient checks, float32 as the reference of the fast
 * kernels. */
#include "backend/conv.h"
#include "backend/gemm.h"
#include "core/memory.h"

#include <string.h>

#define PLAIN_REAL double
#define PLAIN_EPILOGUE EpilogueF64
#define PLAIN_GEMM gemm_f64
#define PLAIN(name) conv_##name##_f64
#include "backend/conv_plain.h"
#undef PLAIN_REAL
#undef PLAIN_EPILOGUE
#undef PLAIN_GEMM
#undef PLAIN

#define PLAIN_REAL float
#define PLAIN_EPILOGUE Epilogue
#define PLAIN_GEMM gemm_f32
#define PLAIN(name) conv_reference_##name
#include "backend/conv_plain.h"
