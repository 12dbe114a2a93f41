/* A libcuda.so.1 without a device, for tests that plan with cuDNN where there is no driver: what is compiled at run time
 * is loaded through the driver, which here takes everything and keeps nothing. Questions for a device get "no device".
 * It must never come before a driver of NVIDIA's. */
#define NO_DEVICE 100
#define VISIBLE __attribute__((visibility("default")))

/* Functions that the loader of compiled kernels looks for, whatever their arguments. */
#define GIVES(code, name)                                                                                    \
  VISIBLE int name(void);                                                                                    \
  VISIBLE int name(void) { return code; }
#define EACH(give, code, a, b, c, d) give(code, a) give(code, b) give(code, c) give(code, d)

EACH(GIVES, NO_DEVICE, cuInit, cuDeviceGet, cuDeviceGetCount, cuDeviceGetAttribute)
EACH(GIVES, NO_DEVICE, cuDevicePrimaryCtxRetain, cuDevicePrimaryCtxRelease, cuDevicePrimaryCtxReset,
     cuStreamGetCtx)
EACH(GIVES, NO_DEVICE, cuCtxGetCurrent, cuCtxGetDevice, cuCtxGetLimit, cuCtxPushCurrent)
EACH(GIVES, NO_DEVICE, cuCtxPopCurrent, cuStreamSynchronize, cuMemcpyDtoH_v2, cuModuleGetGlobal_v2)
EACH(GIVES, NO_DEVICE, cuLaunchKernel, cuLaunchKernelEx, cuLaunchCooperativeKernel, cuTensorMapEncodeTiled)
EACH(GIVES, NO_DEVICE, cuLinkCreate, cuLinkCreate_v2, cuLinkAddData, cuLinkAddData_v2)
EACH(GIVES, NO_DEVICE, cuLinkAddFile_v2, cuLinkComplete, cuLinkDestroy, cuOccupancyMaxPotentialClusterSize)
GIVES(NO_DEVICE, cuOccupancyMaxActiveBlocksPerMultiprocessor)
EACH(GIVES, 0, cuLibraryUnload, cuModuleUnload, cuKernelSetAttribute, cuFuncSetAttribute)

/* A handle that is not NULL, or a number, through the first argument. */
#define FILLS(value, name)                                                                                   \
  VISIBLE int name(__typeof__(value) *first);                                                                \
  VISIBLE int name(__typeof__(value) *first) { return *first = value, 0; }

static char something;
EACH(FILLS, (void *)&something, cuLibraryLoadData, cuLibraryLoadFromFile, cuLibraryGetKernel,
     cuModuleLoadData)
FILLS((void *)&something, cuModuleLoadDataEx)
FILLS((void *)&something, cuModuleLoadFatBinary)
FILLS((void *)&something, cuModuleGetFunction)
FILLS(0, cuKernelGetAttribute)
FILLS(0, cuFuncGetAttribute)
FILLS(13000, cuDriverGetVersion)

#define SAYS(text, name)                                                                                     \
  VISIBLE int name(int code, const char **words);                                                            \
  VISIBLE int name(int code, const char **words) {                                                           \
    (void)code;                                                                                              \
    return *words = text, 0;                                                                                 \
  }
SAYS("NO_DEVICE", cuGetErrorName)
SAYS("no device", cuGetErrorString)
