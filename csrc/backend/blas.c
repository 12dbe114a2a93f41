/* Setting up OpenBLAS. Its dynamic builds choose kernels by CPU model, and versions older than the CPU fall
 * back to SSE3 ("Prescott"), at a third of the speed. Unless the user chose by $OPENBLAS_CORETYPE, we then
 * name kernels that the CPU can run and have the library choose again. Whatever is in use has to get one
 * product right. */
#include "backend/blas.h"

#include "backend/isa.h"
#include "core/error.h"

#include <cblas.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int products_right;

/* Small integers, so that the product is exact in any order of summation. */
static int check_products(void) {
  enum { N = 48 };
  static float a[N * N], b[N * N], c[N * N];
  static double ad[N * N], bd[N * N], cd[N * N];
  for (int i = 0; i < N * N; i++) {
    a[i] = (float)(i * 7 % 11 - 5), b[i] = (float)(i * 5 % 13 - 6);
    ad[i] = a[i], bd[i] = b[i];
  }
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, N, N, N, 1, a, N, b, N, 0, c, N);
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, N, N, N, 1, ad, N, bd, N, 0, cd, N);
  for (int i = 0; i < N; i++) {
    for (int j = 0; j < N; j++) {
      float sum = 0;
      for (int k = 0; k < N; k++) sum += a[i * N + k] * b[k * N + j];
      if (c[i * N + j] != sum || cd[i * N + j] != (double)sum) return 0;
    }
  }
  return 1;
}

/* gotoblas_dynamic_quit and _init are exported by dynamic builds but stand in no header: hence dlsym. */
static void choose_kernels(void) {
  const char *wanted = isa_level() == ISA_AVX512 ? "SkylakeX" : isa_level() == ISA_AVX2 ? "Haswell" : NULL;
  if (!wanted || getenv("OPENBLAS_CORETYPE") || strcmp(openblas_get_corename(), "Prescott") != 0) return;
  void (*quit)(void), (*init)(void);
  *(void **)&quit = dlsym(RTLD_DEFAULT, "gotoblas_dynamic_quit");
  *(void **)&init = dlsym(RTLD_DEFAULT, "gotoblas_dynamic_init");
  if (!quit || !init) return;
  setenv("OPENBLAS_CORETYPE", wanted, 1);
  quit();
  init();
  unsetenv("OPENBLAS_CORETYPE"); /* children choose for themselves */
}

__attribute__((constructor)) static void start(void) {
  choose_kernels();
  openblas_set_num_threads(1);
  products_right = check_products();
}

int blas_ready(void) {
  if (products_right) return 1;
  return fail(
      "%s: expected exact products of small integers, found wrong ones; set OPENBLAS_CORETYPE=Haswell",
      blas_text());
}

const char *blas_text(void) {
  static _Thread_local char text[128];
  char config[256];
  snprintf(config, sizeof config, "%s",
           openblas_get_config()); /* "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH …" */
  char *name = strtok(config, " "), *version = name ? strtok(NULL, " ") : NULL;
  snprintf(text, sizeof text, "%s %s (%s kernels)", name ? name : "OpenBLAS", version ? version : "?",
           openblas_get_corename());
  return text;
}
