// SPDX-License-Identifier: Apache-2.0
#include "core/cuda_error.h"

#include <cuda_runtime_api.h>

#include "core/error.h"

namespace pathline::core {

void check_cuda(int result, const char* what) {
  const auto error = static_cast<cudaError_t>(result);
  PL_CHECK(error == cudaSuccess, ExitCode::kEnvironment, what, " failed (CUDA error ", cudaGetErrorName(error), ": ",
           cudaGetErrorString(error), "; this call or one before it; results on this device are void). ",
           error == cudaErrorMemoryAllocation ? "Use smaller slices (train.slices) or micro-batches."
                                              : "Look at nvidia-smi for the device's state, and start again.");
}

}  // namespace pathline::core
