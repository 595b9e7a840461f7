// SPDX-License-Identifier: Apache-2.0
// Which of LibTorch's kernels networks use on a GPU: what decides their bits there.
#pragma once

namespace pathline::model {

struct GpuPolicy {
  bool tf32 = false;         // fp32 matrix products and convolutions of TF32 inputs
  bool reproducible = true;  // deterministic algorithms, no autotuning, attention by flash or the plain kernel
};

/// For the whole process; before its first work on a GPU (cuBLAS reads its part once). No effect on the processor.
void set_gpu_policy(const GpuPolicy& policy);

}  // namespace pathline::model
