// SPDX-License-Identifier: Apache-2.0
// A network's field on the GPU beside the same network's on the processor.
#include "sampler/gpu_field.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/random.h"
#include "sampler/checkpointed_model.h"
#include "sampler/compute_device.h"
#include "sampler/generate.h"
#include "sampler/row_check.h"

namespace pathline::sampler {
namespace {

using Network = std::unique_ptr<model::VelocityModel>;

model::ModelOptions options_of(const std::string& name) {
  model::ModelOptions options;
  options.name = name;
  options.input_channels = name == "MLP" ? 2 : 3;
  options.input_size = name == "MLP" ? 0 : 16;
  options.classes = 4;
  if (name == "DiT") {
    options.patch = 4;
    options.hidden = 96;
    options.depth = 3;
    options.heads = 3;
    options.learn_sigma = true;
    options.time_input = "ddpm999";  // goes through a table on the processor
  } else if (name == "UNet") {
    options.channels = 32;
    options.multipliers = {1, 2};
    options.blocks = 1;
    options.attention = {8};
    options.head_channels = 16;
  } else {
    options.hidden = 64;
    options.depth = 3;
  }
  return options;
}

/// Weights that a new network has at zero are not.
Network network(const std::string& name, std::uint64_t seed, bool bf16 = false) {
  Network made = model::make_model(options_of(name), seed);
  const at::NoGradGuard no_grad;
  for (const model::NamedTensor& named : made->parameters()) {
    const auto id = static_cast<std::int64_t>(core::hash_name(named.name) >> 1);
    named.tensor.add_(0.05 * start_noise(seed, id, named.tensor.sizes()));
  }
  made->set_training(false);
  if (bf16) use_bf16(*made);
  return made;
}

Network on_gpu(const std::string& name, std::uint64_t seed, bool bf16 = false) {
  Network made = network(name, seed, bf16);
  move_to(*made, at::Device(at::kCUDA, 0));
  return made;
}

Job job_of(const model::VelocityModel& model, std::int64_t slots) {
  Job job;
  job.sample_shape = sample_shape_of(model.options());
  job.null_label = null_label_of(model.options());
  job.slots = slots;
  job.seed = 3;
  return job;
}

struct Rows {
  at::Tensor x, t, labels;
};

Rows rows_of(const Job& job) {
  std::vector<at::Tensor> rows;
  for (std::int64_t s = 0; s < job.slots; ++s) rows.push_back(start_noise(job.seed, s, job.sample_shape));
  const at::Tensor place = at::arange(job.slots, at::kLong);
  return {at::stack(rows), (place.to(at::kFloat) + 0.5) / static_cast<double>(job.slots), place.remainder(5)};
}

class GpuField : public testing::TestWithParam<std::string> {
 protected:
  static void SetUpTestSuite() { open_device(0); }
};

TEST_P(GpuField, GivesTheProcessorsValuesToRounding) {
  const Network host = network(GetParam(), 7), device = on_gpu(GetParam(), 7);
  const Rows rows = rows_of(job_of(*host, 32));
  const at::NoGradGuard no_grad;
  for (const auto answer : {NetworkAnswer::kVelocity, NetworkAnswer::kAsOriginal}) {
    const Field expected = answer == NetworkAnswer::kVelocity ? field_of(*host) : noise_field_of(*host);
    const at::Tensor theirs = expected(rows.x, rows.t, rows.labels);
    const at::Tensor ours = gpu_field_of(*device, answer, Launch::kGraph)(rows.x, rows.t, rows.labels);
    ASSERT_EQ(ours.sizes(), theirs.sizes());
    ASSERT_EQ(ours.scalar_type(), at::kFloat);
    ASSERT_TRUE(ours.is_cpu());
    const double worst = ((ours - theirs).abs().max() / theirs.abs().max()).item<double>();
    // fp32 leaves some 1e-6 of sums over a few hundred terms through a dozen layers, the host's minimal filtering some
    // 1e-5; inputs rounded to TF32 would leave 2^-11 = 5e-4 in every layer.
    EXPECT_LT(worst, 1e-4);
    RecordProperty("worst", std::to_string(worst));
  }
}

TEST_P(GpuField, ARowsBitsDoNotDependOnItsPlace) {
  for (const bool bf16 : {false, true}) {
    const Network device = on_gpu(GetParam(), 7, bf16);
    for (const std::int64_t slots : {16, 64}) {
      const Field field = gpu_field_of(*device, NetworkAnswer::kVelocity, Launch::kGraph);
      EXPECT_NO_THROW(check_rows_independent(field, job_of(*device, slots))) << slots << (bf16 ? " bf16" : " fp32");
    }
  }
}

TEST_P(GpuField, AReplayedGraphGivesTheBitsOfSeparateKernels) {
  for (const bool bf16 : {false, true}) {
    const Network device = on_gpu(GetParam(), 7, bf16);
    const Field graph = gpu_field_of(*device, NetworkAnswer::kVelocity, Launch::kGraph),
                eager = gpu_field_of(*device, NetworkAnswer::kVelocity, Launch::kEager);
    for (int round = 0; round < 2; ++round) {  // the second time nothing is captured
      for (const std::int64_t slots : {32, 64}) {
        Rows rows = rows_of(job_of(*device, slots));
        rows.x = rows.x + static_cast<double>(round);
        EXPECT_TRUE(at::equal(graph(rows.x, rows.t, rows.labels), eager(rows.x, rows.t, rows.labels)));
      }
    }
  }
}

TEST_P(GpuField, AResultIsTheCallers) {
  const Network device = on_gpu(GetParam(), 7);
  const Field field = gpu_field_of(*device, NetworkAnswer::kVelocity, Launch::kGraph);
  const Rows rows = rows_of(job_of(*device, 16));
  const at::Tensor first = field(rows.x, rows.t, rows.labels), kept = first.clone();
  const at::Tensor second = field(rows.x + 1.0, rows.t, rows.labels);
  EXPECT_TRUE(at::equal(first, kept));
  EXPECT_FALSE(at::equal(first, second));
}

/// Pixels of ids 0 .. 95, where a third of the samples is guided.
std::vector<at::Tensor> pixels_of(const Field& field, Job job) {
  job.solver.rtol = job.solver.atol = 1e-4;
  job.solver.guidance_weights = {1.0, 1.5, 1.0};
  std::vector<at::Tensor> pixels(96);
  const auto label_of = [](std::int64_t id) { return id % 5 == 4 ? std::int64_t{-1} : id % 5; };
  const Statistics made = generate(field, job, 0, 96, label_of, [&](Sample&& sample) {
    pixels.at(static_cast<std::size_t>(sample.id)) = ((sample.value + 1.0) * 127.5).clamp(0, 255).round();
  });
  EXPECT_EQ(made.count, 96);
  EXPECT_EQ(made.failed, 0);
  return pixels;
}

TEST_P(GpuField, AJobOfMixedSamplesGivesTheProcessorsToAGreyLevel) {
  const Network host = network(GetParam(), 7), device = on_gpu(GetParam(), 7), weaker = network(GetParam(), 8),
                weaker_device = on_gpu(GetParam(), 8);
  for (const bool by_another : {false, true}) {
    Job job = job_of(*host, 32), device_job = job;
    if (by_another) {
      job.guide = field_of(*weaker);
      device_job.guide = gpu_field_of(*weaker_device, NetworkAnswer::kVelocity, Launch::kGraph);
    }
    const auto expected = pixels_of(field_of(*host), job);
    const auto found = pixels_of(gpu_field_of(*device, NetworkAnswer::kVelocity, Launch::kGraph), device_job);
    std::int64_t differ = 0, all = 0;
    for (std::size_t id = 0; id < found.size(); ++id) {
      const at::Tensor apart = (found[id] - expected[id]).abs();
      differ += apart.gt(0).sum().item<std::int64_t>();
      all += apart.numel();
      EXPECT_LE(apart.max().item<double>(), 1.0) << id;
    }
    std::printf("%s%s: %lld of %lld values differ, by at most one grey level\n", GetParam().c_str(),
                by_another ? " with a guide" : "", static_cast<long long>(differ), static_cast<long long>(all));
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, GpuField, testing::Values("DiT", "UNet", "MLP"),
                         [](const auto& network) { return network.param; });

}  // namespace
}  // namespace pathline::sampler
