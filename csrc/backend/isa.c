/* Which instruction set runs: asked once, at the start, from the CPU and $COHESIV_ISA. */
#include "backend/isa.h"

#include <stdlib.h>
#include <string.h>

const char *const isa_name[3] = {"portable", "avx2", "avx512"};

static Isa cpu_level(void) {
#ifdef ISA_X86
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
    return ISA_AVX512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return ISA_AVX2;
#endif
  return ISA_PORTABLE;
}

static Isa level;
static const char *complaint;

void isa_start(void) {
  const char *asked = getenv("COHESIV_ISA");
  level = cpu_level();
  if (!asked || !*asked) return;
  for (int i = 0; i < 3; i++)
    if (!strcmp(asked, isa_name[i])) {
      if (i <= (int)level)
        level = (Isa)i;
      else
        complaint = "COHESIV_ISA asks for more than this CPU has";
      return;
    }
  complaint = "COHESIV_ISA: expected portable, avx2 or avx512";
}

Isa isa_level(void) { return level; }

const char *isa_complaint(void) { return complaint; }
