// SPDX-License-Identifier: Apache-2.0
#include "sampler/row_check.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/sampler/fields.h"

namespace pathline::sampler {
namespace {

TEST(RowCheck, NoticesAFieldWhoseRowsSeeTheirPlace) {
  Job job;
  job.sample_shape = {3, 4, 4};
  job.slots = 16;
  EXPECT_NO_THROW(check_rows_independent(tests::GaussianField{}, job));
  const Field last_row_rounds_differently = [](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    at::Tensor v = tests::GaussianField{}(x, t, labels);
    v[15] *= 1 + 1e-6;
    return v;
  };
  try {
    check_rows_independent(last_row_rounds_differently, job);
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kUsage);
  }
}

}  // namespace
}  // namespace pathline::sampler
