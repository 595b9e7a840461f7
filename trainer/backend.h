// SPDX-License-Identifier: Apache-2.0
// Where a rank computes: the processor's cores or one GPU. Behind it lie the ranks that reduce arrays in that memory
// and the kernels that are ours. host_backend.cc; cuda_backend.cc, or no_cuda_backend.cc where the build has no CUDA.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <memory>

#include "cluster/array_math.h"
#include "cluster/communicator.h"
#include "trainer/update_kernel.h"

namespace pathline::trainer {

struct Recipe;

/// A moment in the order of what a thread has asked its device to compute.
class ComputeMark {
 public:
  virtual ~ComputeMark() = default;
  /// Whatever Backend::math() and array_ranks() are asked for from now on happens after the mark.
  virtual void before_reductions() = 0;
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual at::Device device() const = 0;

  /// The ranks, for arrays in the device's memory, and arithmetic on them. For the reduction thread alone.
  virtual cluster::Communicator& array_ranks() = 0;
  virtual cluster::ArrayMath& math() = 0;

  /// After everything the calling thread has computed so far.
  virtual std::unique_ptr<ComputeMark> mark_compute() = 0;
  /// What the calling thread computes from now on happens after all that math() and array_ranks() were asked for.
  virtual void compute_after_reductions() = 0;

  /// Of the optimizer, on arrays in the device's memory, in the calling thread's order of computing.
  virtual const UpdateKernels& kernels() const = 0;

  /// into = gradient, or into += gradient. Both contiguous, with as many elements; `into` fp32, gradient fp32 or bf16.
  virtual void take_gradient(const at::Tensor& gradient, const at::Tensor& into, bool add) = 0;
};

/// As run.device says: "auto" (a GPU if this machine and this build have one), "cpu" or "cuda". On GPUs rank i of a
/// host takes device i of those that CUDA_VISIBLE_DEVICES leaves; train.reduction and train.tf32 decide which of
/// LibTorch's kernels are used. Throws ExitCode::kEnvironment on all ranks together. Collective.
std::unique_ptr<Backend> make_backend(const Recipe& recipe, cluster::Communicator& ranks);

}  // namespace pathline::trainer
