// SPDX-License-Identifier: Apache-2.0
// The doctor's probes that need more than launch/ may see: the recipe, data sets, LibTorch, GPUs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/doctor/options.h"
#include "cluster/communicator.h"
#include "launch/doctor/line.h"
#include "sampler/compute_device.h"

namespace pathline::apps {

/// What the recipe asks of this machine; without a recipe, what it would ask by default.
struct Needs {
  std::string directory = ".";
  std::vector<std::string> data;  // empty: none to look at
  std::string device = "auto";
  int threads = 1;
  std::int64_t batch = 256;  // of a rank
  int loader_threads = 1;
  std::uint64_t rank_memory = 0;         // bytes, without activations; 0: not known
  std::uint64_t checkpoint = 0;          // bytes of one; 0: not known
  std::uint64_t checkpoint_of_rank = 0;  // of these, written by the rank with the most
};

/// Reads the recipe and plans it for `ranks`; tells what is wrong with it. What can be known is in `needs`.
std::vector<doctor::Line> look_at_recipe(const DoctorOptions& options, int ranks, Needs& needs);

/// Opens the data set and loads batches for about `seconds`.
std::vector<doctor::Line> look_at_data(const Needs& needs, double seconds);

/// Versions of LibTorch, HDF5 and, where GPUs are built in, NCCL; and what the process has loaded.
std::vector<doctor::Line> look_at_libraries();

/// The GPUs of this host for `local_ranks` ranks; `here`: what those of them that are here see. gpu_probe.cc;
/// no_gpu_probe.cc where the build has no CUDA.
std::vector<doctor::Line> look_at_devices(const std::string& device, int local_ranks,
                                          const std::vector<sampler::RankDevices>& here);
/// An all-reduce over NCCL between the ranks' GPUs; nothing where they have none. `ranks` is for this call alone.
/// Collective.
std::vector<doctor::Line> time_device_all_reduce(const std::string& device,
                                                 std::unique_ptr<cluster::Communicator> ranks, double seconds);
/// Of NCCL and CUDA.
std::vector<doctor::Line> look_at_gpu_libraries();

}  // namespace pathline::apps
