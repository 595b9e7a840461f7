// SPDX-License-Identifier: Apache-2.0
// Guided evaluations in the slots: how their rows share forward passes, and that no sample notices.
#include <ATen/ops/cos.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/sin.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <queue>
#include <vector>

#include "sampler/generate.h"
#include "tests/sampler/fields.h"

namespace pathline::sampler {
namespace {

constexpr std::int64_t kNull = 4;

/// Stiffer for larger labels, so that samples need different numbers of steps.
at::Tensor labelled_field(const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
  const at::Tensor rate = 1 + 4 * tests::per_row(labels, x).to(x.scalar_type());
  return at::cos(rate * tests::per_row(t, x)) * x + at::sin(rate * x);
}

at::Tensor weaker_field(const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
  return 0.8 * labelled_field(x, t, labels);
}

/// Takes the place of a classifier's gradient.
at::Tensor gradient(const at::Tensor& x, const at::Tensor&, const at::Tensor& labels) {
  return 0.1 * (tests::per_row(labels, x).to(x.scalar_type()) - x);
}

enum class By { kNullLabel, kWeaker, kClassifier, kBoth };
constexpr std::array kAll = {By::kNullLabel, By::kWeaker, By::kClassifier, By::kBoth};

/// Guidance of half the time, with different weights.
Job job_guided(By by, std::int64_t slots) {
  Job job;
  job.sample_shape = {3, 5, 5};
  job.null_label = kNull;
  job.slots = slots;
  job.seed = 11;
  job.solver.rtol = job.solver.atol = 1e-4;
  job.solver.guidance_from = 0.3;
  job.solver.guidance_to = 0.8;
  if (by != By::kClassifier) job.solver.guidance_weights = {1, 2, 1.5, 2, 4};
  if (by == By::kWeaker || by == By::kBoth) job.guide = weaker_field;
  if (by == By::kClassifier || by == By::kBoth) {
    job.classifier = gradient;
    job.solver.classifier_scale = 1.5;
  }
  return job;
}

std::map<std::int64_t, Sample> samples_of(const Job& job, std::int64_t first, std::int64_t last,
                                          Statistics* total = nullptr, const Field& field = labelled_field) {
  std::map<std::int64_t, Sample> samples;
  const Statistics statistics = generate(
      field, job, first, last, [](std::int64_t id) { return id % 4; },
      [&](Sample&& sample) { EXPECT_TRUE(samples.emplace(sample.id, std::move(sample)).second); });
  if (total) *total = statistics;
  return samples;
}

TEST(PackedRows, BothRowsOfAPairShareOneForwardPass) {
  Job job = job_guided(By::kNullLabel, 4);
  job.solver = {};
  job.solver.solver = "euler";
  job.solver.steps = 5;
  job.solver.guidance = 2;
  std::int64_t calls = 0;
  const Field looking = [&](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    ++calls;
    EXPECT_EQ(x.sizes(), at::IntArrayRef({4, 3, 5, 5}));
    EXPECT_EQ((labels == kNull).sum().item<std::int64_t>(), 2);
    return labelled_field(x, t, labels);
  };
  Statistics total;
  samples_of(job, 0, 2, &total, looking);
  EXPECT_EQ(calls, 5) << "two guided samples fill four rows";
  EXPECT_EQ(total.occupancy, 1.0);
  EXPECT_EQ(total.max_nfe, 10);
}

TEST(PackedRows, ASampleHasTheSameBitsWhateverItsBatchMatesAndRow) {
  for (const By by : kAll) {
    for (const std::int64_t slots : {3, 8}) {  // of three rows, pairs lie in different passes
      const Job job = job_guided(by, slots);
      const auto all = samples_of(job, 0, 30);
      ASSERT_EQ(all.size(), 30u);
      for (const auto& [first, last] : {std::pair{0, 1}, std::pair{17, 18}, std::pair{5, 14}, std::pair{3, 29}}) {
        for (const auto& [id, sample] : samples_of(job, first, last)) {
          EXPECT_TRUE(at::equal(sample.value, all.at(id).value)) << "sample " << id << " of " << slots << " slots";
          EXPECT_EQ(sample.nfe, all.at(id).nfe);
        }
      }
    }
  }
}

TEST(PackedRows, AreAlwaysFullWhileIdsAreLeft) {
  for (const By by : kAll) {
    for (const std::int64_t slots : {5, 16}) {
      Statistics total;
      std::int64_t nfe = 0;
      for (const auto& [id, sample] : samples_of(job_guided(by, slots), 0, 120, &total)) nfe += sample.nfe;
      EXPECT_EQ(total.queued_occupancy, 1.0) << slots;
      EXPECT_GT(total.queued_rows, 0);
      EXPECT_EQ(total.useful_rows, nfe) << "every useful row is some sample's";
      EXPECT_GT(total.evaluated_rows, nfe) << "towards the end some are empty";
    }
  }
}

TEST(PackedRows, OverAJobAreAsFullAsListSchedulingOfPairs) {
  Job job = job_guided(By::kNullLabel, 16);
  job.solver.guidance_from = 0;
  job.solver.guidance_to = 1;
  job.solver.guidance_weights = {2};
  Statistics total;
  const auto samples = samples_of(job, 0, 150, &total);
  // Eight machines for pairs, each taking the next sample when it is free.
  std::priority_queue<std::int64_t, std::vector<std::int64_t>, std::greater<>> free_at;
  for (int i = 0; i < 8; ++i) free_at.push(0);
  std::int64_t end = 0, nfe = 0;
  for (const auto& [id, sample] : samples) {
    const std::int64_t done = free_at.top() + sample.nfe / 2;
    free_at.pop();
    free_at.push(done);
    end = std::max(end, done);
    nfe += sample.nfe;
  }
  EXPECT_GE(total.occupancy, static_cast<double>(nfe) / static_cast<double>(16 * end) - 0.01);
}

TEST(PackedRows, AWeakerNetworkIsAskedForFullBatchesToo) {
  Job job = job_guided(By::kWeaker, 16);
  std::int64_t strong = 0, weak = 0;
  const auto counting = [](std::int64_t& calls, const Field& field) -> Field {
    return [&calls, field](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
      EXPECT_EQ(x.size(0), 16);
      EXPECT_FALSE((labels == kNull).any().item<bool>());
      ++calls;
      return field(x, t, labels);
    };
  };
  job.guide = counting(weak, weaker_field);
  Statistics total;
  samples_of(job, 0, 200, &total, counting(strong, labelled_field));
  EXPECT_EQ(total.evaluated_rows, 16 * (strong + weak));
  EXPECT_GT(weak, 0);
  EXPECT_LT(weak, strong) << "only for samples with a weight, and only inside the interval";
}

}  // namespace
}  // namespace pathline::sampler
