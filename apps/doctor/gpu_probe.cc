// SPDX-License-Identifier: Apache-2.0
// NVML, which tells of a GPU's health, comes with the driver; it is loaded by name, so that its headers are not needed.
#include <cuda_runtime.h>
#include <dlfcn.h>
#include <nccl.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "apps/doctor/probes.h"
#include "cluster/agree.h"
#include "cluster/nccl_communicator.h"
#include "core/cuda_error.h"
#include "core/error.h"
#include "core/machine.h"
#include "core/text.h"
#include "launch/doctor/judge_libraries.h"

namespace pathline::apps {
namespace {

using core::check_cuda;
using core::concat;
using doctor::Line;

constexpr std::size_t kReduced = std::size_t{64} << 20;  // bytes

/// Memory errors that could not be corrected since the driver was loaded; nothing where NVML does not tell.
std::optional<unsigned long long> uncorrected_errors(int device) {
  char bus[64] = "";
  void* const library = ::dlopen("libnvidia-ml.so.1", RTLD_NOW);
  if (!library || cudaDeviceGetPCIBusId(bus, sizeof bus, device) != cudaSuccess) return std::nullopt;
  const auto init = reinterpret_cast<int (*)()>(::dlsym(library, "nvmlInit_v2"));
  const auto by_bus =
      reinterpret_cast<int (*)(const char*, void**)>(::dlsym(library, "nvmlDeviceGetHandleByPciBusId_v2"));
  const auto errors =
      reinterpret_cast<int (*)(void*, int, int, unsigned long long*)>(::dlsym(library, "nvmlDeviceGetTotalEccErrors"));
  void* handle = nullptr;
  unsigned long long count = 0;
  constexpr int kUncorrected = 1, kSinceDriverStart = 0;  // nvmlMemoryErrorType_t, nvmlEccCounterType_t
  if (!init || !by_bus || !errors || init() != 0 || by_bus(bus, &handle) != 0) return std::nullopt;
  if (errors(handle, kUncorrected, kSinceDriverStart, &count) != 0) return std::nullopt;
  return count;
}

/// Whether the device does what it is asked: a few bytes there and back.
void try_device(int device) {
  check_cuda(cudaSetDevice(device), "choosing a GPU");
  unsigned char back[64] = {};
  void* memory = nullptr;
  check_cuda(cudaMalloc(&memory, sizeof back), "taking memory of a GPU");
  check_cuda(cudaMemset(memory, 0x5a, sizeof back), "filling memory of a GPU");
  check_cuda(cudaMemcpy(back, memory, sizeof back, cudaMemcpyDeviceToHost), "copying from a GPU");
  check_cuda(cudaFree(memory), "giving back memory of a GPU");
  const bool same = std::all_of(std::begin(back), std::end(back), [](unsigned char byte) { return byte == 0x5a; });
  PL_CHECK(same, core::ExitCode::kEnvironment, "GPU ", device,
           " gives back other bytes than were written. Take it out of use.");
}

bool all_peers(int count) {
  bool all = true;
  for (int a = 0; a < count; ++a) {
    for (int b = 0; b < count; ++b) {
      int can = 1;
      if (a != b && cudaDeviceCanAccessPeer(&can, a, b) == cudaSuccess) all = all && can != 0;
    }
  }
  return all;
}

Line judge_devices(int count, int local_ranks, const std::vector<sampler::RankDevices>& here) {
  std::string found = concat(count, count == 1 ? " GPU" : " GPUs");
  for (int device = 0; device < count; ++device) {
    try_device(device);
    if (const auto errors = uncorrected_errors(device); errors && *errors > 0) {
      return doctor::broken(
          "devices",
          concat(found, "; GPU ", device, " has had ", *errors, " memory errors that could not be corrected"),
          "reset or drain it (nvidia-smi -q -d ECC); exclude its host from the job");
    }
  }
  cudaDeviceProp first{};
  check_cuda(cudaGetDeviceProperties(&first, 0), "asking for a GPU's properties");
  std::size_t free = 0, total = 0;
  check_cuda(cudaSetDevice(0), "choosing a GPU");
  check_cuda(cudaMemGetInfo(&free, &total), "asking for a GPU's memory");
  found +=
      concat(", ", first.name, ", ", core::human_bytes(free), " of ", core::human_bytes(total), " free on the first");
  if (!sampler::enough_gpus(local_ranks, here)) {
    return doctor::broken("devices", concat(found, ", for ", local_ranks, " ranks on this host"),
                          "start as many ranks on a host as it has GPUs (--ntasks-per-node, --gpus-per-node); look at "
                          "CUDA_VISIBLE_DEVICES: all ranks of a host see the same GPUs, or each only its own");
  }
  if (free < total / 10 * 9) {
    return doctor::slow("devices", concat(found, ": something else uses it"),
                        "end it (nvidia-smi), or ask for whole GPUs");
  }
  if (!all_peers(count)) {
    return doctor::slow("devices", concat(found, "; not all reach each other's memory"),
                        "ask with --gpus-per-node instead of --gpus-per-task; look at `nvidia-smi topo -p2p r`");
  }
  return doctor::good("devices", concat(found, count > 1 ? ", all reach each other's memory" : ""));
}

/// -1 where the ranks cannot have one each, which the devices' lines say.
int chosen_gpu(const std::string& device, cluster::Communicator& ranks) try {
  return sampler::choose_gpu({device, ""}, ranks);
} catch (const cluster::AgreedError&) {
  return -1;
}

}  // namespace

std::vector<Line> look_at_devices(const std::string& device, int local_ranks,
                                  const std::vector<sampler::RankDevices>& here) {
  if (device == "cpu") return {doctor::good("devices", "the processor, as the recipe says")};
  int count = 0;
  const cudaError_t result = cudaGetDeviceCount(&count);
  if (result == cudaErrorNoDevice || (result == cudaSuccess && count == 0)) {
    const std::string found = "CUDA sees no GPU";
    if (device == "auto")
      return {doctor::slow("devices", found + "; the processor will compute",
                           "ask for GPUs (--gpus-per-node), or set run.device = \"cpu\"")};
    return {doctor::broken("devices", found,
                           "ask for GPUs (--gpus-per-node); look at nvidia-smi and CUDA_VISIBLE_DEVICES")};
  }
  if (result != cudaSuccess) {
    return {doctor::broken("devices", concat("CUDA does not start: ", cudaGetErrorString(result)),
                           "look at nvidia-smi: a driver older than this program's CUDA, or one that is not loaded")};
  }
  return {judge_devices(count, local_ranks, here)};
}

std::vector<Line> time_device_all_reduce(const std::string& device, std::unique_ptr<cluster::Communicator> ranks,
                                         double seconds) {
  const int gpu = chosen_gpu(device, *ranks);
  std::int64_t without = gpu < 0 ? 1 : 0;
  ranks->all_reduce(std::span(&without, 1), cluster::Reduction::kMax);
  if (without != 0 || ranks->size() < 2) return {};
  check_cuda(cudaSetDevice(gpu), "choosing a GPU");
  cudaStream_t stream = nullptr;
  check_cuda(cudaStreamCreate(&stream), "making a stream");
  const auto parts = static_cast<std::size_t>(ranks->size());
  const auto gpus =
      cluster::make_nccl_communicator(std::move(ranks), gpu, stream, {.init_seconds = 60, .call_seconds = 30});
  const std::size_t part = kReduced / sizeof(float) / parts;
  float* memory = nullptr;
  check_cuda(cudaMalloc(&memory, (parts + 1) * part * sizeof(float)), "taking memory of a GPU");
  check_cuda(cudaMemset(memory, 0, (parts + 1) * part * sizeof(float)), "filling memory of a GPU");
  std::vector<std::size_t> elements, places;
  for (std::size_t r = 0; r <= parts; ++r) elements.push_back(r * part), places.push_back(r * part * sizeof(float));
  const std::span whole(memory, parts * part), own(memory + parts * part, part);
  const auto run = [&](int count) {
    const double begin = core::monotonic_seconds();
    for (int i = 0; i < count; ++i) {
      gpus->reduce_scatter(whole, elements, own);
      gpus->all_gather_in_place(std::as_writable_bytes(whole), places);
    }
    check_cuda(cudaStreamSynchronize(stream), "reducing over all GPUs");
    double each = (core::monotonic_seconds() - begin) / count;
    gpus->all_reduce(std::span(&each, 1), cluster::Reduction::kMax);
    return each;
  };
  run(1);  // makes connections
  const double each = run(static_cast<int>(std::clamp(seconds / run(2), 3.0, 1000.0)));
  check_cuda(cudaFree(memory), "giving back memory of a GPU");
  const double rate = 2.0 * static_cast<double>((parts - 1) * part * sizeof(float)) / each;
  const std::string found = concat(std::round(rate / 1e7) / 100, " GB/s a GPU each way (NCCL)");
  if (rate < 1e9) {
    return {doctor::slow("all-reduce of the GPUs", found + "; at least 1 GB/s is usual",
                         "look which way NCCL takes (NCCL_DEBUG=INFO), NCCL_SOCKET_IFNAME and NCCL_IB_HCA")};
  }
  return {doctor::good("all-reduce of the GPUs", found)};
}

std::vector<Line> look_at_gpu_libraries() {
  const std::string built = concat(NCCL_MAJOR, ".", NCCL_MINOR, ".", NCCL_PATCH);
  std::vector<Line> lines{doctor::judge_version({"NCCL", built, cluster::nccl_version(), 1, ""})};
  int driver = 0, runtime = 0;
  const auto text = [](int version) { return concat(version / 1000, ".", version % 1000 / 10); };
  check_cuda(cudaRuntimeGetVersion(&runtime), "asking for CUDA's version");
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
    lines.push_back(
        doctor::slow("CUDA", text(runtime) + ", but no driver is loaded here", "GPUs need one: look at nvidia-smi"));
  } else if (driver / 1000 < runtime / 1000) {
    lines.push_back(doctor::broken("CUDA", concat(text(runtime), ", but the driver knows up to ", text(driver)),
                                   "a newer driver on this host, or LibTorch for an older CUDA"));
  } else {
    lines.push_back(doctor::good("CUDA", concat(text(runtime), ", driver for ", text(driver))));
  }
  return lines;
}

}  // namespace pathline::apps
