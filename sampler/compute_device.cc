// SPDX-License-Identifier: Apache-2.0
#include "sampler/compute_device.h"

#include <ATen/Context.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <set>

#include "cluster/agree.h"
#include "cluster/topology.h"
#include "core/error.h"
#include "core/text.h"
#include "model/gpu_policy.h"

namespace pathline::sampler {
namespace {

using core::ExitCode;

std::string visible_devices() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return core::concat("CUDA_VISIBLE_DEVICES is ", visible == nullptr ? "not set" : visible);
}

}  // namespace

int gpu_for(const DeviceWish& wish, const DevicePlaces& places) {
  if (wish.kind == "cpu" || (wish.kind == "auto" && places.most == 0)) return -1;
  PL_CHECK(at::hasCUDA() || places.devices > 0, ExitCode::kEnvironment, "a GPU was asked for (", wish.kind,
           "), but this program was built without CUDA. Build it where nvcc and a CUDA build of torch are "
           "(docs/gpu.md), or ",
           wish.instead, ".");
  PL_CHECK(places.devices > 0, ExitCode::kEnvironment, "no GPU can be used here (", wish.kind, " was asked for; ",
           visible_devices(), "). Look at nvidia-smi, or ", wish.instead, ".");
  PL_CHECK(places.local_ranks <= places.devices, ExitCode::kEnvironment, places.local_ranks,
           " ranks were started on this host, which has ", places.devices, places.devices == 1 ? " GPU" : " GPUs",
           " for them (a rank needs one of its own; ", visible_devices(),
           "). Start one rank a GPU, for example mpirun -n ", places.devices, ", or ", wish.instead, ".");
  return places.local_rank;
}

namespace {

/// Ranks of one host that see the same GPUs, in whatever order.
bool see_the_same(const RankDevices& one, const RankDevices& other) {
  return one.host == other.host &&
         std::set(one.gpus.begin(), one.gpus.end()) == std::set(other.gpus.begin(), other.gpus.end());
}

std::vector<int> ranks_that_see_as(int rank, std::span<const RankDevices> all) {
  std::vector<int> same;
  for (int r = 0; r < std::ssize(all); ++r) {
    if (see_the_same(all[r], all[rank])) same.push_back(r);
  }
  return same;
}

/// The i-th rank takes what is the i-th for the first of them, since each may count from another one. Nothing where
/// they are more than their GPUs.
std::optional<std::string> taken_by(int rank, std::span<const RankDevices> all) {
  const std::vector<int> same = ranks_that_see_as(rank, all);
  const auto place = static_cast<std::size_t>(std::ranges::find(same, rank) - same.begin());
  const std::vector<std::string>& gpus = all[same.front()].gpus;
  return place < gpus.size() ? std::optional(gpus[place]) : std::nullopt;
}

/// Another rank of the host that takes the same GPU; -1 if there is none.
int sharing_with(int rank, std::span<const RankDevices> all) {
  for (int r = 0; r < std::ssize(all); ++r) {
    if (r != rank && all[r].host == all[rank].host && taken_by(r, all) == taken_by(rank, all)) return r;
  }
  return -1;
}

}  // namespace

int gpu_for(const DeviceWish& wish, int rank, std::span<const RankDevices> all) {
  std::size_t most = 0;
  for (const RankDevices& one : all) most = std::max(most, one.gpus.size());
  const std::vector<std::string>& gpus = all[rank].gpus;
  const std::vector<int> same = ranks_that_see_as(rank, all);
  const DevicePlaces places{static_cast<int>(gpus.size()), static_cast<int>(most),
                            static_cast<int>(std::ranges::find(same, rank) - same.begin()),
                            static_cast<int>(same.size())};
  if (gpu_for(wish, places) < 0) return -1;
  const std::string mine = taken_by(rank, all).value();
  const int other = sharing_with(rank, all);
  PL_CHECK(other < 0, ExitCode::kEnvironment, "ranks ", std::min(rank, other), " and ", std::max(rank, other),
           " of host ", all[rank].host, " would compute on one GPU, ", mine, " (a rank needs one of its own; ",
           visible_devices(), "). Let all ranks of a host see the same GPUs, or each only its own, or ", wish.instead,
           ".");
  return static_cast<int>(std::ranges::find(gpus, mine) - gpus.begin());
}

bool enough_gpus(int local_ranks, std::span<const RankDevices> here) {
  if (std::ssize(here) < local_ranks) {
    std::set<std::string> seen;
    for (const RankDevices& one : here) seen.insert(one.gpus.begin(), one.gpus.end());
    return std::ssize(seen) >= local_ranks;
  }
  for (int r = 0; r < std::ssize(here); ++r) {
    if (!taken_by(r, here) || sharing_with(r, here) >= 0) return false;
  }
  return true;
}

std::vector<RankDevices> devices_of_all(cluster::Communicator& ranks) {
  std::vector<RankDevices> all;
  for (const std::string& host : cluster::find_topology(ranks).hosts) all.push_back({host, {}});
  std::string mine;  // a GPU a line, then zeros
  for (const std::string& gpu : cluster::together(ranks, visible_gpus)) mine += gpu + "\n";
  std::vector<std::int64_t> most = {std::ssize(mine)};
  ranks.all_reduce(most, cluster::Reduction::kMax);
  const auto length = static_cast<std::size_t>(most[0]);
  if (length == 0) return all;
  mine.resize(length);
  std::string texts(length * all.size(), '\0');
  ranks.all_gather(std::as_bytes(std::span(mine)), std::as_writable_bytes(std::span(texts)));
  for (std::size_t r = 0; r < all.size(); ++r) {
    for (const std::string& gpu : core::split(texts.substr(r * length, length).c_str(), '\n')) {
      if (!gpu.empty()) all[r].gpus.push_back(gpu);
    }
  }
  return all;
}

int choose_gpu(const DeviceWish& wish, cluster::Communicator& ranks) {
  if (wish.kind == "cpu") return -1;
  const std::vector<RankDevices> all = devices_of_all(ranks);
  return cluster::together(ranks, [&] { return gpu_for(wish, ranks.rank(), all); });
}

int usable_gpus() { return static_cast<int>(at::getNumGPUs()); }

at::Device open_device(int gpu) {
  if (gpu < 0) return at::kCPU;
  const at::Device device(at::kCUDA, static_cast<c10::DeviceIndex>(gpu));
  c10::impl::VirtualGuardImpl(at::kCUDA).setDevice(device);
  model::set_gpu_policy({});
  return device;
}

}  // namespace pathline::sampler
