// SPDX-License-Identifier: Apache-2.0
// Where a process evaluates networks, once chosen: the processor or one GPU.
#pragma once

#include <c10/core/Device.h>

#include <string>

#include "cluster/communicator.h"
#include "model/velocity_model.h"
#include "sampler/field.h"
#include "sampler/gpu_field.h"

namespace pathline::apps {

struct Compute {
  at::Device device = at::kCPU;
  sampler::Launch launch = sampler::Launch::kGraph;
  std::string kernels;  // what computes, of which version: belongs to a job, since its samples' bits depend on it

  /// `model` lies on the device and must outlive the field.
  sampler::Field field_of(model::Module& model, sampler::NetworkAnswer answer) const;
};

enum class DeviceKind { kAny, kCpu, kCuda };

/// Of each rank its own, as sampler::choose_gpu() says. Throws ExitCode::kEnvironment where ranks have other kernels
/// than rank 0: their parts would be of different jobs. Collective.
Compute choose_compute(DeviceKind kind, sampler::Launch launch, cluster::Communicator& ranks);

/// Opens GPU `gpu` (-1: the processor) for this process.
Compute open_compute(int gpu, sampler::Launch launch);

/// --device that means the device of such `kernels`: "cpu" or "cuda".
std::string device_kind_of(const std::string& kernels);

}  // namespace pathline::apps
