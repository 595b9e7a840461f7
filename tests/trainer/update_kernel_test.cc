// SPDX-License-Identifier: Apache-2.0
#include "trainer/update_kernel.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/random.h"

namespace pathline::trainer {
namespace {

std::vector<float> normals(std::size_t count, std::uint64_t index) {
  std::vector<float> values(count);
  core::Draws(5, index, core::Purpose::kMadeData).fill_normal(values);
  return values;
}

struct Arrays {
  explicit Arrays(std::size_t n)
      : gradient(normals(n, 0)), parameter(normals(n, 1)), moment1(normals(n, 2)), moment2(normals(n, 3)), average(normals(n, 4)) {
    for (auto& value : moment2) value *= value;
  }
  void update(std::size_t begin, std::size_t end, const AdamWStep& step) {
    const ShardArrays shard{end, gradient.data(), parameter.data(), {moment1.data(), moment2.data()}, nullptr, {{average.data(), 0.001f}}};
    update_adamw(step, shard.part(begin, end - begin));
  }
  std::vector<float> gradient, parameter, moment1, moment2, average;
};

AdamWStep third_step() {
  AdamWStep step;
  step.gradient_scale = 0.25f;
  step.lr = 3e-3f;
  step.weight_decay = 0.1f;
  step.correction1 = static_cast<float>(1 - std::pow(0.9, 3));
  step.root_correction2 = static_cast<float>(std::sqrt(1 - std::pow(0.999, 3)));
  return step;
}

TEST(UpdateShard, IsAdamWInDoublePrecision) {
  constexpr std::size_t kCount = 5000;
  const Arrays before(kCount);
  Arrays after = before;
  after.update(0, kCount, third_step());
  for (std::size_t i = 0; i < kCount; ++i) {
    const double g = 0.25 * before.gradient[i];
    const double m = 0.9 * before.moment1[i] + 0.1 * g;
    const double v = 0.999 * before.moment2[i] + 0.001 * g * g;
    const double m_hat = m / (1 - std::pow(0.9, 3)), v_hat = v / (1 - std::pow(0.999, 3));
    const double p = before.parameter[i] * (1 - 3e-3 * 0.1) - 3e-3 * m_hat / (std::sqrt(v_hat) + 1e-8);
    // A handful of fp32 roundings; 1 - 0.999f alone is off by 1.6e-5 of itself.
    EXPECT_NEAR(after.parameter[i], p, 2e-6 * (1 + std::abs(p))) << i;
    EXPECT_NEAR(after.moment1[i], m, 1e-6) << i;
    EXPECT_NEAR(after.moment2[i], v, 1e-6 * (1 + v)) << i;
    EXPECT_NEAR(after.average[i], before.average[i] + 0.001 * (p - before.average[i]), 1e-6) << i;
  }
}

TEST(UpdateShard, BitsDoNotDependOnWhereAShardBegins) {
  constexpr std::size_t kCount = 9001;
  Arrays whole(kCount);
  Arrays cut = whole;
  whole.update(0, kCount, third_step());
  for (const auto& [begin, end] : std::vector<std::pair<std::size_t, std::size_t>>{{0, 1}, {1, 18}, {18, 4999}, {4999, 9001}}) {
    cut.update(begin, end, third_step());
  }
  EXPECT_EQ(whole.parameter, cut.parameter);
  EXPECT_EQ(whole.moment1, cut.moment1);
  EXPECT_EQ(whole.moment2, cut.moment2);
  EXPECT_EQ(whole.average, cut.average);
}

TEST(UpdateShard, PaddingStaysZero) {
  std::vector<float> zero(64, 0.0f), p(64, 0.0f), m(64, 0.0f), v(64, 0.0f);
  update_adamw(third_step(), {64, zero.data(), p.data(), {m.data(), v.data()}, nullptr, {}});
  EXPECT_EQ(p, zero);
  EXPECT_EQ(m, zero);
  EXPECT_EQ(v, zero);
}

TEST(SumOfSquares, IsTheSumInDoublePrecision) {
  const auto values = normals(4096 + 7, 9);
  long double exact = 0;
  for (const float value : values) exact += static_cast<long double>(value) * value;
  // Every product is exact in fp64; 4,103 additions round by at most 2^-53 of the sum each.
  EXPECT_NEAR(sum_of_squares(values), static_cast<double>(exact), 4103 * 0x1p-53 * static_cast<double>(exact));
}

TEST(SumOfSquares, SeesInfinityAndNan) {
  std::vector<float> values(4096, 1.0f);
  values[17] = INFINITY;
  EXPECT_TRUE(std::isinf(sum_of_squares(values)));
  values[18] = NAN;
  EXPECT_TRUE(std::isnan(sum_of_squares(values)));
}

}  // namespace
}  // namespace pathline::trainer
