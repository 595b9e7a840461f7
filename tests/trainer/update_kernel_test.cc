// SPDX-License-Identifier: Apache-2.0
#include "trainer/update_kernel.h"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <c10/util/BFloat16.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
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
      : gradient(normals(n, 0)),
        master(normals(n, 1)),
        moment1(normals(n, 2)),
        moment2(normals(n, 3)),
        average1(normals(n, 4)),
        average2(normals(n, 5)),
        bf16(n) {
    for (auto& value : moment2) value *= value;
  }
  ShardArrays all(std::size_t moments) {
    ShardArrays shard{master.size(), gradient.data(), master.data(), {moment1.data(), moment2.data()}, bf16.data(), {}};
    shard.moments.resize(moments);
    shard.averages = {{average1.data(), 0.001f}, {average2.data(), 0.25f}};
    return shard;
  }
  bool operator==(const Arrays&) const = default;

  std::vector<float> gradient, master, moment1, moment2, average1, average2;
  std::vector<std::uint16_t> bf16;
};

AdamWStep adamw_step(int n) {
  AdamWStep step;
  step.gradient_scale = 0.25f;
  step.lr = 3e-3f;
  step.weight_decay = 0.1f;
  step.correction1 = static_cast<float>(1 - std::pow(0.9, n));
  step.root_correction2 = static_cast<float>(std::sqrt(1 - std::pow(0.999, n)));
  return step;
}

LionStep lion_step() { return {.gradient_scale = 0.25f, .lr = 3e-3f, .weight_decay = 0.1f}; }

TEST(UpdateAdamW, IsAdamWInDoublePrecision) {
  const Arrays before(5000);
  Arrays after = before;
  update_adamw(adamw_step(3), after.all(2));
  for (std::size_t i = 0; i < before.master.size(); ++i) {
    const double g = 0.25 * before.gradient[i];
    const double m = 0.9 * before.moment1[i] + 0.1 * g;
    const double v = 0.999 * before.moment2[i] + 0.001 * g * g;
    const double m_hat = m / (1 - std::pow(0.9, 3)), v_hat = v / (1 - std::pow(0.999, 3));
    const double p = before.master[i] * (1 - 3e-3 * 0.1) - 3e-3 * m_hat / (std::sqrt(v_hat) + 1e-8);
    // A handful of fp32 roundings; 1 - 0.999f alone is off by 1.6e-5 of itself.
    EXPECT_NEAR(after.master[i], p, 2e-6 * (1 + std::abs(p))) << i;
    EXPECT_NEAR(after.moment1[i], m, 1e-6) << i;
    EXPECT_NEAR(after.moment2[i], v, 1e-6 * (1 + v)) << i;
    EXPECT_NEAR(after.average1[i], before.average1[i] + 0.001 * (p - before.average1[i]), 1e-6) << i;
    EXPECT_NEAR(after.average2[i], before.average2[i] + 0.25 * (p - before.average2[i]), 1e-6) << i;
  }
}

TEST(UpdateAdamW, StaysWithAtensFusedAdamWOverManySteps) {
  constexpr std::int64_t kCount = 3001;
  Arrays ours(kCount);
  std::ranges::fill(ours.moment1, 0.0f);
  std::ranges::fill(ours.moment2, 0.0f);
  Arrays theirs = ours;
  const auto list = [](std::vector<float>& values) {
    return std::vector<at::Tensor>{at::from_blob(values.data(), {kCount})};
  };
  auto p = list(theirs.master), g = list(theirs.gradient), m = list(theirs.moment1), v = list(theirs.moment2);
  for (int n = 1; n <= 20; ++n) {
    ours.gradient = normals(kCount, static_cast<std::uint64_t>(100 + n));
    std::ranges::copy(ours.gradient, theirs.gradient.begin());
    AdamWStep step = adamw_step(n);
    step.gradient_scale = 1.0f;
    update_adamw(step, ours.all(2));
    at::_fused_adamw_(p, g, m, v, {}, {at::full({}, n)}, 3e-3, 0.9, 0.999, 0.1, 1e-8, false, false);
  }
  // Both round each operation in fp32, in different groupings; 20 steps of 3e-3 add up what differs.
  for (std::size_t i = 0; i < ours.master.size(); ++i) ASSERT_NEAR(ours.master[i], theirs.master[i], 4e-6) << i;
}

TEST(UpdateLion, IsItsClosedForm) {
  const Arrays before(5000);
  Arrays after = before;
  update_lion(lion_step(), after.all(1));
  for (std::size_t i = 0; i < before.master.size(); ++i) {
    const double g = 0.25 * before.gradient[i], direction = 0.9 * before.moment1[i] + 0.1 * g;
    if (std::abs(direction) < 1e-6) continue;  // fp32 may see the other sign
    const double p = before.master[i] * (1 - 3e-3 * 0.1) - (direction > 0 ? 3e-3 : -3e-3);
    EXPECT_NEAR(after.master[i], p, 2e-7 * (1 + std::abs(p))) << i;  // three roundings
    EXPECT_NEAR(after.moment1[i], 0.99 * before.moment1[i] + 0.01 * g, 1e-6) << i;
  }
  EXPECT_EQ(after.moment2, before.moment2);
}

TEST(Update, GivesTheSameBitsHoweverAShardIsCut) {
  constexpr std::size_t kCount = 9001;
  for (const bool lion : {false, true}) {
    const auto update = [lion](const ShardArrays& shard) {
      lion ? update_lion(lion_step(), shard) : update_adamw(adamw_step(3), shard);
    };
    Arrays whole(kCount);
    Arrays cut = whole;
    update(whole.all(lion ? 1 : 2));
    const std::size_t cuts[] = {0, 1, 18, 19, 1043, 4999, 8999, kCount};
    for (std::size_t i = 0; i + 1 < std::size(cuts); ++i) {
      update(cut.all(lion ? 1 : 2).part(cuts[i], cuts[i + 1] - cuts[i]));
    }
    EXPECT_TRUE(whole == cut) << (lion ? "lion" : "adamw");
  }
}

TEST(Update, GivesTheSameBitsWithAnyNumberOfThreads) {
  Arrays one(100001);
  Arrays three = one;
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  update_adamw(adamw_step(3), one.all(2));
  at::set_num_threads(3);
  update_adamw(adamw_step(3), three.all(2));
  at::set_num_threads(before);
  EXPECT_TRUE(one == three);
}

TEST(Update, LeavesZeroPaddingZero) {
  const std::vector<float> zero(64, 0.0f);
  for (const bool lion : {false, true}) {
    std::vector<float> p(64, 0.0f), m(64, 0.0f), v(64, 0.0f);
    if (lion)
      update_lion(lion_step(), {64, zero.data(), p.data(), {m.data()}, nullptr, {}});
    else
      update_adamw(adamw_step(3), {64, zero.data(), p.data(), {m.data(), v.data()}, nullptr, {}});
    EXPECT_EQ(p, zero);
    EXPECT_EQ(m, zero);
    EXPECT_EQ(v, zero);
  }
}

/// Every upper half of an fp32 number with lower halves around the ties.
TEST(Update, RoundsToBf16AsTorchDoes) {
  std::vector<float> values;
  for (std::uint32_t upper = 0; upper < 0x10000; ++upper) {
    for (const std::uint32_t lower : {0x0u, 0x1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      values.push_back(std::bit_cast<float>(upper << 16 | lower));
    }
  }
  std::vector<float> master = values, zero(values.size(), 0.0f), m = zero, v = zero;
  std::vector<std::uint16_t> bf16(values.size());
  update_adamw({}, {values.size(), zero.data(), master.data(), {m.data(), v.data()}, bf16.data(), {}});  // lr 0
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(bf16[i], c10::BFloat16(values[i]).x) << std::hexfloat << values[i];
  }
}

TEST(Update, ShowsANanOfTheGradient) {
  Arrays arrays(100);
  arrays.gradient[63] = NAN;
  update_adamw(adamw_step(1), arrays.all(2));
  EXPECT_TRUE(std::isnan(arrays.master[63]));
  EXPECT_FALSE(std::isnan(arrays.master[62]));
  Arrays other(100);
  other.gradient[63] = NAN;
  update_lion(lion_step(), other.all(1));
  EXPECT_TRUE(std::isnan(other.master[63]));
}

}  // namespace
}  // namespace pathline::trainer
