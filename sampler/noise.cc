// SPDX-License-Identifier: Apache-2.0
// Where a sample starts, and the noise of its steps.
#include <ATen/ops/empty.h>

#include "core/random.h"
#include "sampler/generate.h"

namespace pathline::sampler {

at::Tensor start_noise(std::uint64_t seed, std::int64_t id, at::IntArrayRef shape) {
  const at::Tensor noise = at::empty(shape, at::kFloat);
  const core::Draws draws(seed, static_cast<std::uint64_t>(id), core::Purpose::kGenerationNoise);
  draws.fill_normal({noise.mutable_data_ptr<float>(), static_cast<std::size_t>(noise.numel())});
  return noise;
}

at::Tensor start_value(const Job& job, std::int64_t id) {
  if (job.start) return job.start(id);
  if (!job.source) return start_noise(job.seed, id, job.sample_shape);
  const at::Tensor start = at::empty(job.sample_shape, at::kFloat);
  job.source->fill(StartSource::Use::kGeneration, job.seed, static_cast<std::uint64_t>(id),
                   {start.mutable_data_ptr<float>(), static_cast<std::size_t>(start.numel())});
  return start;
}

StepNoise step_noise(std::uint64_t seed) {
  return [seed](std::int64_t id, std::int64_t draw, std::span<float> out) {
    const core::Draws draws(seed, static_cast<std::uint64_t>(id), core::Purpose::kGenerationStep,
                            static_cast<std::uint32_t>(draw));
    draws.fill_normal(out);
  };
}

}  // namespace pathline::sampler
