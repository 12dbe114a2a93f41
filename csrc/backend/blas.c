/* Opening OpenBLAS. Its dynamic builds choose kernels by CPU model, and versions older than the CPU fall back
 * to SSE3 ("Prescott"), at a third of the speed. Unless the user chose by $OPENBLAS_CORETYPE, we then name
 * kernels that the CPU can run and have the library choose again. Whatever is in use has to get one product
 * right.
 *
 * A call takes one buffer of 32 to 128 MB of address space, kept for later calls. Where the kernel refuses it
 * (`ulimit -v`), OpenBLAS tries again for ever: so buffers are taken before the calls that need them, and
 * only where they fit. Its own threads, which would each take one, are never started. */
#include "backend/blas.h"

#include "backend/isa.h"
#include "core/error.h"
#include "core/pool.h"
#include "core/room.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER = 128 << 20, BUFFERS_MAX = 64 /* half of what a default build has slots for */ };

static void *library;
static Blas table;
static char trouble[256]; /* why there is no library; "": there is one */

/* Small integers, so that the product is exact in any order of summation. */
static int check_products(void) {
  enum { N = 48 };
  static float a[N * N], b[N * N], c[N * N];
  static double ad[N * N], bd[N * N], cd[N * N];
  for (int i = 0; i < N * N; i++) {
    a[i] = (float)(i * 7 % 11 - 5), b[i] = (float)(i * 5 % 13 - 6);
    ad[i] = a[i], bd[i] = b[i];
  }
  table.sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, N, N, N, 1, a, N, b, N, 0, c, N);
  table.dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, N, N, N, 1, ad, N, bd, N, 0, cd, N);
  for (int i = 0; i < N; i++) {
    for (int j = 0; j < N; j++) {
      float sum = 0;
      for (int k = 0; k < N; k++) sum += a[i * N + k] * b[k * N + j];
      if (c[i * N + j] != sum || cd[i * N + j] != (double)sum) return 0;
    }
  }
  return 1;
}

/* ---- buffers ---- */

/* Takes `count` buffers at once and gives them back: they then stay with the library. Its functions for that
 * are exported but stand in no header. */
static int take_buffers(int count) {
  void *(*take)(int) = NULL, *held[BUFFERS_MAX];
  void (*give)(void *) = NULL;
  int taken = 0;
  *(void **)&take = dlsym(library, "blas_memory_alloc");
  *(void **)&give = dlsym(library, "blas_memory_free");
  if (!take || !give) return 1;
  while (taken < count && room_address() > BUFFER + (BUFFER >> 3)) held[taken++] = take(0);
  for (int i = 0; i < taken; i++) give(held[i]);
  return taken == count;
}

/* One for every thread of the pool, where address space is limited. */
static int reserve(void) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static int reserved; /* under the lock */
  if (room_address() == SIZE_MAX) return 1;
  int threads = pool_threads(), want = threads < BUFFERS_MAX ? threads : BUFFERS_MAX;
  pthread_mutex_lock(&lock);
  int ok = want <= reserved || take_buffers(want);
  if (ok && want > reserved) reserved = want;
  pthread_mutex_unlock(&lock);
  if (ok) return 1;
  return fail_memory("out of memory: expected %d MB of address space for each of %d threads of OpenBLAS, "
                     "found %zu MB left (ulimit -v); fewer threads need less",
                     BUFFER >> 20, threads, room_address() >> 20);
}

/* ---- opening ---- */

/* gotoblas_dynamic_quit and _init are exported by dynamic builds. */
static void choose_kernels(void) {
  const char *wanted = isa_level() == ISA_AVX512 ? "SkylakeX" : isa_level() == ISA_AVX2 ? "Haswell" : NULL;
  if (!wanted || getenv("OPENBLAS_CORETYPE") || strcmp(table.core_name(), "Prescott") != 0) return;
  void (*quit)(void), (*init)(void);
  *(void **)&quit = dlsym(library, "gotoblas_dynamic_quit");
  *(void **)&init = dlsym(library, "gotoblas_dynamic_init");
  if (!quit || !init) return;
  setenv("OPENBLAS_CORETYPE", wanted, 1);
  quit();
  init();
  unsetenv("OPENBLAS_CORETYPE"); /* children choose for themselves */
}

static int find_functions(void) {
  const struct {
    void *place;
    const char *name;
  } functions[] = {{&table.sgemm, "cblas_sgemm"},
                   {&table.dgemm, "cblas_dgemm"},
                   {&table.dgelqf, "dgelqf_"},
                   {&table.dgesdd, "dgesdd_"},
                   {&table.dgetrf, "dgetrf_"},
                   {&table.dgetrs, "dgetrs_"},
                   {&table.config, "openblas_get_config"},
                   {&table.core_name, "openblas_get_corename"}};
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    void *f = dlsym(library, functions[i].name);
    if (!f) {
      snprintf(trouble, sizeof trouble, "OpenBLAS: expected the function %s in it, found none",
               functions[i].name);
      return 0;
    }
    memcpy(functions[i].place, &f, sizeof f);
  }
  return 1;
}

void blas_start(void) {
  char *threads = getenv("OPENBLAS_NUM_THREADS");
  threads = threads ? strdup(threads) : NULL;
  setenv("OPENBLAS_NUM_THREADS", "1", 1);
  library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
  if (threads)
    setenv("OPENBLAS_NUM_THREADS", threads, 1);
  else
    unsetenv("OPENBLAS_NUM_THREADS"); /* children choose for themselves */
  free(threads);
  if (!library) {
    snprintf(trouble, sizeof trouble, "OpenBLAS: expected libopenblas.so.0, found: %s", dlerror());
    return;
  }
  if (find_functions()) choose_kernels();
}

const Blas *blas(void) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static bool checked; /* under the lock */
  if (!trouble[0] && !reserve()) return NULL;
  pthread_mutex_lock(&lock);
  if (!checked && !trouble[0] && !check_products())
    snprintf(trouble, sizeof trouble,
             "OpenBLAS %s: expected exact products of small integers, found wrong ones; set "
             "OPENBLAS_CORETYPE=Haswell",
             table.core_name());
  checked = true;
  pthread_mutex_unlock(&lock);
  if (!trouble[0]) return &table;
  fail("%s", trouble);
  return NULL;
}
