/* Opening cuDNN: libcudnn.so.9 alone, a thin library that opens the others when a plan needs them. */
#include "cuda/cudnn.h"

#include "core/error.h"

#ifdef CUDNN_BUILT
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT(x) #x
#define LIBRARY(major) "libcudnn.so." TEXT(major)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static Cudnn table;
static char trouble[256]; /* why there is no library; "": there is one */

static void open_library(void) {
  const char *wanted = getenv("COHESIV_CUDNN");
  if (wanted && strcmp(wanted, "off") == 0) {
    snprintf(trouble, sizeof trouble, "cuDNN: switched off by COHESIV_CUDNN");
    return;
  }
  void *library = dlopen(LIBRARY(CUDNN_MAJOR), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    snprintf(trouble, sizeof trouble, "cuDNN: expected %s, found: %s", LIBRARY(CUDNN_MAJOR), dlerror());
    return;
  }
  const struct {
    void *place;
    const char *name;
  } functions[] = {{&table.version, "cudnnGetVersion"},
                   {&table.last_error, "cudnnGetLastErrorString"},
                   {&table.create, "cudnnCreate"},
                   {&table.drop, "cudnnDestroy"},
                   {&table.set_stream, "cudnnSetStream"},
                   {&table.make, "cudnnBackendCreateDescriptor"},
                   {&table.destroy, "cudnnBackendDestroyDescriptor"},
                   {&table.set, "cudnnBackendSetAttribute"},
                   {&table.get, "cudnnBackendGetAttribute"},
                   {&table.finalize, "cudnnBackendFinalize"},
                   {&table.execute, "cudnnBackendExecute"}};
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    void *f = dlsym(library, functions[i].name);
    if (!f) {
      snprintf(trouble, sizeof trouble, "cuDNN: expected the function %s in it, found none",
               functions[i].name);
      return;
    }
    memcpy(functions[i].place, &f, sizeof f);
  }
}

const Cudnn *cudnn(void) {
  pthread_once(&once, open_library);
  if (!trouble[0]) return &table;
  fail("%s", trouble);
  return NULL;
}

bool cudnn_there(void) { return cudnn() != NULL; }

void *cudnn_handle(cudaStream_t stream) {
  const Cudnn *library = cudnn();
  cudnnHandle_t handle = NULL;
  char said[200] = "";
  if (!library) return NULL;
  if (!library->create(&handle) && !library->set_stream(handle, stream)) return handle;
  library->last_error(said, sizeof said);
  if (handle) library->drop(handle);
  return fail("cuDNN: %s", said), NULL;
}

const char *cudnn_label(void) {
  static char text[32];
  const Cudnn *library = cudnn();
  if (!library) return ", no cuDNN";
  size_t v = library->version(); /* 10000 major + 100 minor + patch */
  snprintf(text, sizeof text, ", cuDNN %zu.%zu.%zu", v / 10000, v / 100 % 100, v % 100);
  return text;
}
#elif !defined CUDA_ON_CPU
bool cudnn_there(void) { return fail("cuDNN: not built in"); }

void *cudnn_handle(cudaStream_t stream) {
  (void)stream;
  return fail("cuDNN: not built in"), NULL;
}

const char *cudnn_label(void) { return ", built without cuDNN"; }
#endif
