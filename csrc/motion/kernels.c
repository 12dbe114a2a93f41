/* Finds the kernels of a device. */
#include "motion/kernels.h"

static const MotionKernels *find(const Device *device) {
  static const MotionKernels cpu = {.flow = &flow_cpu, .maps = &maps_cpu, .sharpen = &sharpen_cpu};
  if (device->kind == DEVICE_CPU) return &cpu;
  const DeviceModule *module = device->kind == DEVICE_GUARD ? NULL : device_module(device->kind);
  return module ? module->motion : NULL;
}

const MotionKernels *motion_kernels(const Device *device) { return find(device); }

Device *motion_device(Device *device) { return find(device) ? device : device_cpu(); }
