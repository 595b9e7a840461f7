// SPDX-License-Identifier: Apache-2.0
#include "sampler/list_schedule.h"

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "sampler/generate.h"
#include "tests/sampler/fields.h"

namespace pathline::sampler {
namespace {

std::int64_t passes(const std::vector<std::int64_t>& nfe, std::int64_t slots) { return list_schedule(nfe, slots); }

TEST(ListSchedule, GivesTheNextSampleTheRowThatIsFreeFirst) {
  EXPECT_EQ(passes({}, 2), 0);
  EXPECT_EQ(passes({7}, 16), 7);
  EXPECT_EQ(passes({3, 3, 3, 3}, 2), 6);
  EXPECT_EQ(passes({5, 1, 1, 1}, 2), 5);
  EXPECT_EQ(passes({1, 1, 1, 5}, 2), 6);
}

TEST(ListSchedule, IsWhatTheSlotsReach) {
  Job job;
  job.sample_shape = {3};
  job.slots = 4;
  job.seed = 2;
  job.solver.rtol = job.solver.atol = 1e-7;
  const tests::MixtureField field{at::tensor({-2.0, 0.0, 0.5, 1.0, 1.5, -1.0}, at::kDouble).view({2, 3}),
                                  at::tensor({0.3, 0.7}, at::kDouble), 0.2};
  std::vector<std::int64_t> nfe(21);
  const Statistics made = generate(
      field, job, 0, 21, [](std::int64_t) { return -1; },
      [&](Sample&& sample) { nfe[static_cast<std::size_t>(sample.id)] = sample.nfe; });
  ASSERT_NE(*std::ranges::min_element(nfe), *std::ranges::max_element(nfe)) << "all samples are alike";
  EXPECT_EQ(made.evaluated_rows, 4 * list_schedule(nfe, 4));
}

}  // namespace
}  // namespace pathline::sampler
