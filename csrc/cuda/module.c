/* What the core finds in this shared object. */
#include "cuda/cuda.h"
#include "cuda/plans.h"

extern __attribute__((visibility("default"))) const DeviceModule *cohesiv_cuda(void);

const DeviceModule *cohesiv_cuda(void) {
  static DeviceModule module = {.launches = &cuda_launches,
                                .open = cuda_device,
                                .kernel = cuda_kernel,
                                .motion = &cuda_motion,
                                .range = cuda_range,
                                .tuning = &cuda_tuning,
                                .label = cuda_label,
                                .bytes = cuda_bytes};
  module.software = cuda_software();
  module.count = cuda_devices(&module.why);
  return &module;
}
