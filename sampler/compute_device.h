// SPDX-License-Identifier: Apache-2.0
// Which device a rank computes on: the processor or one GPU of its host.
#pragma once

#include <c10/core/Device.h>

#include <span>
#include <string>
#include <vector>

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
  int local_rank = 0;   // among the ranks of its host that may use the same
  int local_ranks = 1;  // how many those are
};

/// Index of the rank's GPU, or -1 for the processor. Throws ExitCode::kEnvironment where a GPU is wished for and
/// there is none, or fewer than ranks.
int gpu_for(const DeviceWish& wish, const DevicePlaces& places);

/// What a rank may use: all GPUs of its host, or those that a launcher left it (srun --gpus-per-task=1).
struct RankDevices {
  std::string host;
  std::vector<std::string> gpus;  // UUIDs, by index
};

/// Of rank `rank` of all those: rank i of those of a host that see the same GPUs takes the i-th. Throws
/// ExitCode::kEnvironment also where two ranks would share one. Pure.
int gpu_for(const DeviceWish& wish, int rank, std::span<const RankDevices> all);

/// Whether `local_ranks` ranks of one host get a GPU each, from what the ranks that are there see; those may be fewer.
/// Pure.
bool enough_gpus(int local_ranks, std::span<const RankDevices> here);

/// What every rank sees. Collective; throws on all ranks together.
std::vector<RankDevices> devices_of_all(cluster::Communicator& ranks);

/// gpu_for() of the ranks as they are. All ranks take a GPU or none does; they throw together. Collective.
int choose_gpu(const DeviceWish& wish, cluster::Communicator& ranks);

/// GPUs that this process may use; 0 in a build without CUDA.
int usable_gpus();

/// Their UUIDs. visible_gpus_cuda.cc; no_visible_gpus.cc where the build has no CUDA.
std::vector<std::string> visible_gpus();

/// Makes it the process's device, with reproducible kernels and without TF32. `gpu`: an index, or -1 for the processor.
at::Device open_device(int gpu);

}  // namespace pathline::sampler
