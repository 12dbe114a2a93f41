/* The one place that knows in which order the parts start. Nothing starts by itself when the library is
 * loaded: a part that reads what another has set would then depend on the linker's order. It stands in the
 * highest folder that has something to start. */
#include "backend/start.h"

#include "backend/blas.h"
#include "backend/isa.h"
#include "core/error.h"
#include "core/pool.h"
#include "core/tensor.h"

#include <pthread.h>

static int started;

static void start(void) {
  started = pool_start();
  tensor_start();
  isa_start();
  blas_start(); /* chooses kernels by isa_level() */
}

int core_start(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, start);
  return started || fail("start: expected memory to watch for forks, found none");
}
