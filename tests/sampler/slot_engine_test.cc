// SPDX-License-Identifier: Apache-2.0
// What the slots promise: bits without batch mates, honest counts, failures that stay alone.
#include "sampler/slot_engine.h"

#include <ATen/ops/abs.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/where.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

#include "core/error.h"
#include "sampler/generate.h"
#include "tests/sampler/fields.h"

namespace pathline::sampler {
namespace {

const std::vector<std::int64_t> kShape = {3, 5, 5};

/// Stiffer for larger labels, so that samples need different numbers of steps.
at::Tensor labelled_field(const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
  const at::Tensor rate = 1 + 4 * tests::per_row(labels, x).to(x.scalar_type());
  return at::cos(rate * tests::per_row(t, x)) * x + at::sin(rate * x);
}

Job job_with(const std::string& solver, std::int64_t slots) {
  Job job;
  job.sample_shape = kShape;
  job.null_label = 4;
  job.slots = slots;
  job.seed = 11;
  job.solver.solver = solver;
  job.solver.steps = 7;
  job.solver.rtol = job.solver.atol = 1e-4;
  return job;
}

std::int64_t label_of(std::int64_t id) { return id % 4; }

std::map<std::int64_t, Sample> samples_of(const Job& job, std::int64_t first, std::int64_t last,
                                          Statistics* total = nullptr, const Field& field = labelled_field) {
  std::map<std::int64_t, Sample> samples;
  const Statistics statistics = generate(field, job, first, last, label_of, [&](Sample&& sample) {
    EXPECT_FALSE(samples.contains(sample.id));
    samples.emplace(sample.id, std::move(sample));
  });
  if (total) *total = statistics;
  return samples;
}

TEST(SlotEngine, ASampleHasTheSameBitsWhateverItsBatchMates) {
  for (const std::string solver : {"heun", "dopri5"}) {
    const Job job = job_with(solver, 4);
    const auto all = samples_of(job, 0, 30);
    ASSERT_EQ(all.size(), 30u);
    for (const auto& [first, last] : {std::pair{0, 1}, std::pair{17, 18}, std::pair{5, 14}, std::pair{3, 29}}) {
      for (const auto& [id, sample] : samples_of(job, first, last)) {
        EXPECT_TRUE(at::equal(sample.value, all.at(id).value)) << solver << " sample " << id;
        EXPECT_EQ(sample.nfe, all.at(id).nfe);
      }
    }
  }
}

TEST(SlotEngine, ASampleHasTheSameBitsWhateverItsSlot) {
  const Job job = job_with("dopri5", 8);
  const auto reference = samples_of(job, 0, 20);
  std::vector<std::int64_t> order(20);
  std::iota(order.begin(), order.end(), 0);
  for (const int turn : {3, 7, 11}) {
    std::rotate(order.begin(), order.begin() + turn, order.end());
    std::swap(order[0], order[10]);
    SlotEngine<float> engine(GuidedField{labelled_field}, method_maker<float>(job.solver, 75, {}), kShape, job.slots,
                             true);
    std::size_t i = 0;
    const auto next = [&]() -> std::optional<Start> {
      if (i == order.size()) return std::nullopt;
      const std::int64_t id = order[i++];
      return Start{id, label_of(id), start_noise(job.seed, id, kShape)};
    };
    engine.run(next,
               [&](Finish&& finish) { EXPECT_TRUE(at::equal(finish.x, reference.at(finish.id).value)) << finish.id; });
  }
}

TEST(SlotEngine, JobsThatShareBatchesMakeWhatEachMakesAlone) {
  Job quick = job_with("heun", 4), slow = job_with("dopri5", 4), drawn = job_with("em", 4);
  slow.seed = 12;
  slow.solver.guidance = 2;
  drawn.solver.steps = 5;
  const std::vector<const Job*> jobs = {&quick, &slow, &drawn};
  std::map<const Job*, std::map<std::int64_t, Sample>> alone;
  Statistics apart;
  for (const Job* job : jobs) {
    Statistics one;
    alone[job] = samples_of(*job, 0, 5, &one);
    apart = apart + one;
  }
  ASSERT_LT(apart.occupancy, 0.9);  // a job of five leaves slots of four empty

  std::int64_t asked = 0, made = 0;
  const NextRequest in_turn = [&]() -> std::optional<Request> {
    if (asked == 15) return std::nullopt;
    const std::int64_t id = asked / 3;
    return Request{jobs[static_cast<std::size_t>(asked++ % 3)], id, label_of(id)};
  };
  const Statistics shared = generate(labelled_field, quick, in_turn, [&](Sample&& sample, const Statistics&) {
    const Sample& expected = alone.at(sample.job).at(sample.id);
    EXPECT_TRUE(at::equal(sample.value, expected.value)) << sample.job->solver.solver << " " << sample.id;
    EXPECT_EQ(sample.nfe, expected.nfe);
    EXPECT_EQ(sample.label, expected.label);
    ++made;
  });
  EXPECT_EQ(made, 15);
  EXPECT_EQ(shared.useful_rows, apart.useful_rows);
  EXPECT_LT(shared.evaluated_rows, apart.evaluated_rows);

  Job other = quick;
  EXPECT_TRUE(share_batch(quick, slow) && share_batch(quick, other));
  other.slots = 8;
  EXPECT_FALSE(share_batch(quick, other));
}

TEST(SlotEngine, EvaluatesOnlyTheFullShapeAndCountsWhatItUses) {
  const Job job = job_with("dopri5", 4);
  std::int64_t calls = 0;
  const Field counting = [&](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    EXPECT_EQ(x.sizes(), at::IntArrayRef({4, 3, 5, 5}));
    EXPECT_EQ(x.scalar_type(), at::kFloat);
    ++calls;
    return labelled_field(x, t, labels);
  };
  Statistics total;
  const auto samples = samples_of(job, 0, 10, &total, counting);
  std::int64_t nfe = 0, rejected = 0, most = 0;
  for (const auto& [id, sample] : samples) {
    nfe += sample.nfe;
    rejected += sample.rejected;
    most = std::max(most, sample.nfe);
    // two evaluations choose the first step, each step tried costs six (the seventh slope is handed on)
    EXPECT_EQ((sample.nfe - 2) % 6, 0);
  }
  EXPECT_EQ(total.count, 10);
  EXPECT_EQ(total.failed, 0);
  EXPECT_DOUBLE_EQ(total.mean_nfe, static_cast<double>(nfe) / 10);
  EXPECT_EQ(total.max_nfe, most);
  EXPECT_EQ(total.rejected_steps, rejected);
  EXPECT_GT(rejected, 0) << "the field should be hard enough to reject a step";
  EXPECT_DOUBLE_EQ(total.occupancy, static_cast<double>(nfe) / static_cast<double>(calls * 4));
}

TEST(SlotEngine, FixedStepsCostStagesTimesSteps) {
  const std::map<std::string, std::int64_t> stages = {{"euler", 1}, {"midpoint", 2}, {"heun", 2},  {"ralston", 2},
                                                      {"heun3", 3}, {"rk4", 4},      {"rk4_38", 4}};
  for (const auto& [solver, evaluations] : stages) {
    Statistics total;
    samples_of(job_with(solver, 4), 0, 8, &total);
    EXPECT_EQ(total.max_nfe, 7 * evaluations) << solver;
    EXPECT_DOUBLE_EQ(total.mean_nfe, 7.0 * evaluations);
    EXPECT_DOUBLE_EQ(total.occupancy, 1.0) << "8 equal samples fill 4 slots twice";
  }
}

TEST(SlotEngine, RefillsAFreeSlotAtOnce) {
  // One slow sample among quick ones: with refilling, the ticks are those of the slow one.
  Job job = job_with("dopri5", 2);
  const auto slow_label = [](std::int64_t id) { return id == 0 ? std::int64_t{3} : std::int64_t{0}; };
  std::map<std::int64_t, std::int64_t> nfe;
  std::int64_t ticks = 0;
  const Field counting = [&](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    ++ticks;
    return labelled_field(x, t, labels);
  };
  std::vector<std::int64_t> order;
  generate(counting, job, 0, 3, slow_label, [&](Sample&& sample) {
    nfe[sample.id] = sample.nfe;
    order.push_back(sample.id);
  });
  ASSERT_LT(nfe[1], nfe[0]);
  EXPECT_EQ(ticks, std::max(nfe[0], nfe[1] + nfe[2]));
  EXPECT_EQ(order.front(), 1);
}

TEST(SlotEngine, EmptySlotsHoldZeros) {
  bool seen_empty = false;
  const Field looking = [&](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    for (std::int64_t s = 1; s < 4; ++s) {
      seen_empty = true;
      EXPECT_EQ(x[s].abs().max().item<float>(), 0.0f);
      EXPECT_EQ(t[s].item<float>(), 0.0f);
      EXPECT_EQ(labels[s].item<std::int64_t>(), 0);
    }
    return labelled_field(x, t, labels);
  };
  samples_of(job_with("euler", 4), 5, 6, nullptr, looking);
  EXPECT_TRUE(seen_empty);
}

TEST(SlotEngine, ANonFiniteSampleFailsAlone) {
  const Field failing = [](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    const at::Tensor bad = tests::per_row((labels == 2).logical_and(t > 0.5), x);
    return at::where(bad, std::numeric_limits<float>::quiet_NaN(), labelled_field(x, t, labels));
  };
  for (const std::string solver : {"euler", "rk4", "dopri5"}) {
    const auto reference = samples_of(job_with(solver, 4), 0, 12);
    Statistics total;
    for (const auto& [id, sample] : samples_of(job_with(solver, 4), 0, 12, &total, failing)) {
      if (label_of(id) == 2) {
        EXPECT_EQ(sample.status, SampleStatus::kFailed);
        EXPECT_EQ(sample.outcome, Outcome::kNotFinite);
        EXPECT_EQ(sample.value.abs().max().item<float>(), 0.0f);
      } else {
        EXPECT_EQ(sample.status, SampleStatus::kDone);
        EXPECT_TRUE(at::equal(sample.value, reference.at(id).value));
      }
    }
    EXPECT_EQ(total.failed, 3);
    EXPECT_EQ(total.not_finite, 3);
  }
}

TEST(SlotEngine, AnImpossibleToleranceFailsTheSample) {
  Job job = job_with("dopri5", 2);
  job.solver.max_steps = 5;
  job.solver.rtol = job.solver.atol = 1e-7;
  Statistics total;
  const auto tired = samples_of(job, 0, 2, &total);
  EXPECT_EQ(total.too_many_steps, 2);
  EXPECT_EQ(tired.at(0).outcome, Outcome::kTooManySteps);
  EXPECT_EQ(tired.at(0).nfe, 2 + 5 * 6);

  // A field that jumps at random between evaluations has no error that falls with the step.
  job.solver.max_steps = 10000;
  std::int64_t call = 0;
  const Field noisy = [&](const at::Tensor& x, const at::Tensor&, const at::Tensor&) {
    return at::full(x.sizes(), (++call % 3 - 1) * 1e12, x.options());
  };
  samples_of(job, 0, 2, &total, noisy);
  EXPECT_EQ(total.steps_too_short, 2);
  EXPECT_LT(total.max_nfe, 1000) << "the step underflows long before the steps run out";
}

TEST(SlotEngine, BelowTheNoiseOfTheFieldStepsAreTakenAsTheyAre) {
  Job job = job_with("dopri5", 4);
  job.solver.rtol = job.solver.atol = 1e-6;
  // A network in low precision: its velocity is off by up to 1e-2, differently everywhere.
  const Field noisy = [](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    return labelled_field(x, t, labels) + 1e-2 * at::sin(1e5 * (x + tests::per_row(t, x)));
  };
  Statistics total;
  const auto exact = samples_of(job, 0, 8, &total);
  EXPECT_EQ(total.at_noise_floor, 0);
  const std::int64_t usual = total.max_nfe;
  for (const auto& [id, sample] : samples_of(job, 0, 8, &total, noisy)) {
    EXPECT_EQ(sample.status, SampleStatus::kDone);
    EXPECT_GT(sample.noise_floor_steps, 0);
    EXPECT_LT(at::abs(sample.value - exact.at(id).value).max().item<float>(), 0.1f);
  }
  EXPECT_EQ(total.at_noise_floor, 8);
  EXPECT_LT(total.max_nfe, 4 * usual) << "without the guard it takes thousands";
}

TEST(SlotEngine, PointsKeepAnFp64StateAndAnFp32Network) {
  Job job = job_with("dopri5", 4);
  job.sample_shape = {2};
  job.null_label = -1;
  const Field looking = [](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    EXPECT_EQ(x.scalar_type(), at::kFloat);
    EXPECT_EQ(t.scalar_type(), at::kFloat);
    EXPECT_FALSE(labels.defined());
    return tests::GaussianField{}(x, t, labels);
  };
  generate(
      looking, job, 0, 6, [](std::int64_t) { return -1; },
      [&](Sample&& sample) {
        EXPECT_EQ(sample.value.scalar_type(), at::kFloat);
        const at::Tensor exact = 0.7 + 0.3 * start_noise(job.seed, sample.id, {2});
        EXPECT_LT(at::abs(sample.value - exact).max().item<float>(), 100 * job.solver.rtol);
      });
}

TEST(SlotEngine, RefusesWhatItCannotDo) {
  const auto code_of = [](Job job) {
    try {
      samples_of(job, 0, 1);
    } catch (const core::Error& error) {
      return error.code();
    }
    return core::ExitCode::kFinished;
  };
  Job job = job_with("euler", 4);
  job.solver.steps = 0;
  EXPECT_EQ(code_of(job), core::ExitCode::kUsage);
  job = job_with("dopri5", 4);
  job.solver.atol = 0;
  EXPECT_EQ(code_of(job), core::ExitCode::kUsage);
  EXPECT_EQ(code_of(job_with("dopri", 4)), core::ExitCode::kUsage);
  EXPECT_EQ(code_of(job_with("euler", 0)), core::ExitCode::kUsage);
  job = job_with("euler", 4);
  job.null_label = -1;  // but label_of gives labels
  EXPECT_EQ(code_of(job), core::ExitCode::kUsage);
}

TEST(StartNoise, IsAFunctionOfSeedAndId) {
  EXPECT_TRUE(at::equal(start_noise(1, 2, kShape), start_noise(1, 2, kShape)));
  EXPECT_FALSE(at::equal(start_noise(1, 2, kShape), start_noise(1, 3, kShape)));
  EXPECT_FALSE(at::equal(start_noise(1, 2, kShape), start_noise(2, 2, kShape)));
}

}  // namespace
}  // namespace pathline::sampler
