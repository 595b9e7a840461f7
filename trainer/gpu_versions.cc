// SPDX-License-Identifier: Apache-2.0
#include "trainer/gpu_versions.h"

#include <ATen/cuda/CUDAContextLight.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/cuda/CUDAFunctions.h>
#include <cuda_runtime_api.h>

#include "core/cuda_error.h"
#include "core/error.h"

namespace pathline::trainer {

bool means_gpu(const std::string& kind) { return kind == "cuda" || (kind == "auto" && c10::cuda::device_count() > 0); }

std::string gpu_name() {
  const cudaDeviceProp& device = *at::cuda::getCurrentDeviceProperties();
  return core::concat(device.name, " (sm_", device.major, device.minor, ")");
}

std::map<std::string, std::string> gpu_library_versions() {
  int runtime = 0;
  core::check_cuda(cudaRuntimeGetVersion(&runtime), "asking for CUDA's version");
  return {{"CUDA", core::concat(runtime / 1000, ".", runtime % 1000 / 10)},
          {"cuDNN", std::to_string(at::detail::getCUDAHooks().versionCuDNN())}};
}

}  // namespace pathline::trainer
