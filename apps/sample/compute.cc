// SPDX-License-Identifier: Apache-2.0
#include "apps/sample/compute.h"

#include <cstdint>

#include "cluster/agree.h"
#include "core/error.h"
#include "core/random.h"
#include "sampler/checkpointed_model.h"
#include "sampler/compute_device.h"
#include "trainer/kernel_fingerprint.h"

namespace pathline::apps {

sampler::Field Compute::field_of(model::Module& model, sampler::NetworkAnswer answer) const {
  auto* velocity = dynamic_cast<model::VelocityModel*>(&model);
  if (device.is_cuda() && velocity != nullptr) return sampler::gpu_field_of(*velocity, answer, launch);
  return answer == sampler::NetworkAnswer::kVelocity ? sampler::field_of(model) : sampler::noise_field_of(model);
}

Compute choose_compute(DeviceKind kind, sampler::Launch launch, cluster::Communicator& ranks) {
  const char* device = kind == DeviceKind::kAny ? "auto" : kind == DeviceKind::kCpu ? "cpu" : "cuda";
  const int gpu = sampler::choose_gpu({device, "begin a new job on the processor with --device cpu"}, ranks);
  const Compute compute = cluster::together(ranks, [&] { return open_compute(gpu, launch); });
  const std::uint64_t mine = core::hash_name(compute.kernels);
  const std::uint64_t first = cluster::word_of_root(ranks, mine);
  cluster::together(ranks, [&] {
    PL_CHECK(mine == first, core::ExitCode::kEnvironment, "rank ", ranks.rank(), " computes with ", compute.kernels,
             ", unlike rank 0 (samples of one set would have different bits). Start the ranks on hosts of one kind.");
  });
  return compute;
}

Compute open_compute(int gpu, sampler::Launch launch) {
  Compute compute{sampler::open_device(gpu), launch, ""};
  compute.kernels = trainer::kernel_fingerprint(gpu < 0 ? "cpu" : "cuda");
  // Libraries may choose other kernels while a graph is captured.
  if (gpu >= 0 && launch == sampler::Launch::kEager) compute.kernels += "; no graph";
  return compute;
}

std::string device_kind_of(const std::string& kernels) { return kernels.starts_with("gpu ") ? "cuda" : "cpu"; }

}  // namespace pathline::apps
