/* The peak of one thread, measured: see isa_peak.c. */
#ifndef BACKEND_ISA_PEAK_H
#define BACKEND_ISA_PEAK_H

#include "backend/isa.h"

/* Floating-point operations a second, a multiplication and its addition counting as two; takes some 10 ms. */
ISA_DECLARE(double, peak_flops, void);

#endif
