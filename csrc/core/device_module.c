/* Opens the shared object with a kind of devices that the core is built without. It is linked against the core,
 * lies beside it, and is opened at the first call alone, so that whoever has no such device needs nothing of
 * it. Another one may be named: COHESIV_CUDA_MODULE, a path (tests: kernels that run on the CPU). */
#include "core/device.h"

#include "core/error.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const DeviceModule *cuda;
static char why[512];

static void open_cuda(void) {
  char beside[4096];
  const char *path = getenv("COHESIV_CUDA_MODULE");
  Dl_info self;
  if (!path && dladdr(&cuda, &self) && strlen(self.dli_fname) < sizeof beside - 16) {
    strcpy(beside, self.dli_fname);
    char *slash = strrchr(beside, '/');
    strcpy(slash ? slash + 1 : beside, "cuda.so");
    path = beside;
  }
  if (!path || access(path, F_OK)) {
    snprintf(why, sizeof why, "this build has no CUDA");
    return;
  }
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  const DeviceModule *(*module)(void) = NULL;
  if (library) *(void **)&module = dlsym(library, "cohesiv_cuda");
  if (module)
    cuda = module();
  else
    snprintf(why, sizeof why, "%s", dlerror());
}

const DeviceModule *device_module(DeviceKind kind) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  if (kind == DEVICE_CUDA) pthread_once(&once, open_cuda);
  if (kind != DEVICE_CUDA || !cuda) return fail("%s", why), NULL;
  return cuda;
}

long device_launches(void) { return cuda ? *cuda->launches : 0; }

const DeviceTuning *device_tuning(void) { return cuda ? cuda->tuning : NULL; }
