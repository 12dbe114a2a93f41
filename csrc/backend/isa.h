/* Instruction sets. Files named isa_*.c are compiled once per set from one source (see CMakeLists.txt): with
 * ISA_NAME(f) they define f_portable, f_avx2 and f_avx512; elsewhere ISA_DECLARE and ISA_PICK reach the one
 * to run.
 *
 * Vectors are the compiler's own (GCC and Clang vector extensions): + - * and comparisons work on them, and
 * `vf` has LANES floats: 4, 8 or 16. */
#ifndef BACKEND_ISA_H
#define BACKEND_ISA_H

typedef enum Isa { ISA_PORTABLE, ISA_AVX2, ISA_AVX512 } Isa;

/* Chooses the set; core_start() calls it. */
void isa_start(void);
/* The set in use: the best of this CPU,
 * or $COHESIV_ISA=portable|avx2|avx512 (never above what the CPU has). */
Isa isa_level(void);
extern const char *const isa_name[3];
/* What went wrong with $COHESIV_ISA (unknown name, or above what the CPU has), or NULL. */
const char *isa_complaint(void);

#ifdef ISA_X86
#define ISA_DECLARE(type, f, ...)                                                                            \
  type f##_portable(__VA_ARGS__), f##_avx2(__VA_ARGS__), f##_avx512(__VA_ARGS__)
#define ISA_PICK(f)                                                                                          \
  (isa_level() == ISA_AVX512 ? f##_avx512 : isa_level() == ISA_AVX2 ? f##_avx2 : f##_portable)
#else
#define ISA_DECLARE(type, f, ...) type f##_portable(__VA_ARGS__)
#define ISA_PICK(f) (f##_portable)
#endif

#ifdef ISA_BUILD /* set for isa_*.c only: portable, avx2 or avx512 */
#define ISA_PASTE_(f, set) f##_##set
#define ISA_PASTE(f, set) ISA_PASTE_(f, set)
#define ISA_NAME(f) ISA_PASTE(f, ISA_BUILD)
#if defined __AVX512F__
#define LANES 16
#elif defined __AVX2__
#define LANES 8
#else
#define LANES 4
#endif
typedef float vf __attribute__((vector_size(4 * LANES)));
typedef int vi __attribute__((vector_size(4 * LANES)));
typedef float vfu __attribute__((vector_size(4 * LANES), aligned(4), may_alias)); /* at any address */
typedef int viu __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
static inline vf vload(const float *p) { return *(const vfu *)p; }
static inline void vstore(float *p, vf x) { *(vfu *)p = x; }
/* Past the caches, for what nobody reads soon; p: whole vectors from the start of memory. The last of them is
 * followed by vstream_end, so that other threads see all. */
static inline void vstream(float *p, vf x) {
#if defined __AVX512F__
  __builtin_ia32_movntps512(p, x);
#elif defined __AVX2__
  __builtin_ia32_movntps256(p, x);
#else
  *(vf *)p = x;
#endif
}
static inline void vstream_end(void) {
#if defined __AVX2__
  __builtin_ia32_sfence();
#endif
}
static inline vf vset(float x) { return x - (vf){0}; }
#endif

#endif
