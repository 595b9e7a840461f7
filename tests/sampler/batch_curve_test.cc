// SPDX-License-Identifier: Apache-2.0
#include "sampler/batch_curve.h"

#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include "tests/sampler/fields.h"

namespace pathline::sampler {
namespace {

TEST(BestSlots, AreTheFewestThatAreNearlyAsFastAsAny) {
  EXPECT_EQ(best_slots({{16, 100}, {32, 180}, {64, 197}, {128, 200}}), 64);
  EXPECT_EQ(best_slots({{16, 100}, {32, 101}}), 16);
  EXPECT_EQ(best_slots({{16, 100}}), 16);
}

TEST(BatchCurve, AsksForNoMoreSlotsThanThereAreSamples) {
  Job job;
  job.sample_shape = {1, 2, 2};
  std::int64_t largest = 0;
  const Field field = [&](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    largest = std::max(largest, x.size(0));
    return tests::GaussianField{}(x, t, labels);
  };
  EXPECT_EQ(measure_batch_curve(field, job, 3).size(), 1u);
  EXPECT_EQ(largest, 16);
  measure_batch_curve(field, job, 64);
  EXPECT_LE(largest, 64);
}

TEST(BatchCurve, EndsWhereMemoryDoes) {
  Job job;
  job.sample_shape = {1, 2, 2};
  const auto field_for = [](std::int64_t most) -> Field {
    return [most](const at::Tensor& x, const at::Tensor&, const at::Tensor&) {
      if (x.size(0) > most) throw c10::OutOfMemoryError({__func__, __FILE__, __LINE__}, "no memory");
      return x;
    };
  };
  const auto curve = measure_batch_curve(field_for(16), job, 256);
  ASSERT_EQ(curve.size(), 1u);
  EXPECT_EQ(curve[0].slots, 16);
  EXPECT_THROW(measure_batch_curve(field_for(8), job, 256), c10::OutOfMemoryError);
}

}  // namespace
}  // namespace pathline::sampler
