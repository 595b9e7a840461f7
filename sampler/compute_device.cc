// SPDX-License-Identifier: Apache-2.0
#include "sampler/compute_device.h"

#include <ATen/Context.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <cstdlib>
#include <span>

#include "cluster/agree.h"
#include "cluster/topology.h"
#include "core/error.h"
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

int choose_gpu(const DeviceWish& wish, cluster::Communicator& ranks) {
  if (wish.kind == "cpu") return -1;
  const cluster::Topology topology = cluster::find_topology(ranks);
  const int devices = usable_gpus();
  std::vector<std::int64_t> most = {devices};
  ranks.all_reduce(most, cluster::Reduction::kMax);
  const DevicePlaces places{devices, static_cast<int>(most[0]), topology.local_rank, topology.local_size};
  return cluster::together(ranks, [&] { return gpu_for(wish, places); });
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
