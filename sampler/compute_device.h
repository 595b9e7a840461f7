// SPDX-License-Identifier: Apache-2.0
// Which device a rank computes on: the processor or one GPU of its host.
#pragma once

#include <c10/core/Device.h>

#include <string>

#include "cluster/communicator.h"

namespace pathline::sampler {

struct DeviceWish {
  std::string kind;     // auto (a GPU where there is one) | cpu | cuda
  std::string instead;  // what to do without one, for messages: "compute on the processor with --device cpu"
};

/// What a rank knows when it chooses.
struct DevicePlaces {
  int devices = 0;      // GPUs that it may use
  int most = 0;         // the most that any of the ranks may use
  int local_rank = 0;   // among the ranks of its host
  int local_ranks = 1;  // how many those are
};

/// Index of the rank's GPU, or -1 for the processor. Throws ExitCode::kEnvironment where a GPU is wished for and
/// there is none, or fewer than ranks.
int gpu_for(const DeviceWish& wish, const DevicePlaces& places);

/// The same of the ranks as they are: rank i of a host takes GPU i of those that CUDA_VISIBLE_DEVICES leaves. All ranks
/// take a GPU or none does; they throw together. Collective.
int choose_gpu(const DeviceWish& wish, cluster::Communicator& ranks);

/// GPUs that this process may use; 0 in a build without CUDA.
int usable_gpus();

/// Makes it the process's device, with reproducible kernels and without TF32. `gpu`: an index, or -1 for the processor.
at::Device open_device(int gpu);

}  // namespace pathline::sampler
