// SPDX-License-Identifier: Apache-2.0
#include "model/gpu_policy.h"

#include <ATen/Context.h>

#include <cstdlib>

namespace pathline::model {

void set_gpu_policy(const GpuPolicy& policy) {
  at::Context& context = at::globalContext();
  context.setFloat32MatmulPrecision(policy.tf32 ? "high" : "highest");
  context.setAllowTF32CuDNN(policy.tf32);
  context.setBenchmarkCuDNN(!policy.reproducible);
  if (!policy.reproducible) return;
  ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);  // cuBLAS promises equal bits only then
  context.setDeterministicAlgorithms(true, /*warn_only=*/false);
  context.setDeterministicFillUninitializedMemory(false);  // would write every new tensor twice
  context.setDeterministicCuDNN(true);
  // Of attention, only flash and the plain one have gradients with equal bits.
  context.setSDPUseMemEfficient(false);
  context.setSDPUseCuDNN(false);
}

}  // namespace pathline::model
