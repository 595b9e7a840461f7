// SPDX-License-Identifier: Apache-2.0
#include "flow/time_law.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"

namespace pathline::flow {
namespace {

constexpr int kDraws = 20000;

std::vector<double> sorted_times(const std::string& law) {
  std::vector<double> times;
  for (int n = 0; n < kDraws; ++n) times.push_back(TimeLaw::parse(law)(core::Draws(7, n, core::Purpose::kTime)));
  std::sort(times.begin(), times.end());
  return times;
}

/// Largest distance between the empirical distribution and `cdf` (Kolmogorov-Smirnov).
template <class Cdf>
double distance_to(const std::vector<double>& sorted, Cdf cdf) {
  double distance = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const double n = static_cast<double>(sorted.size());
    distance = std::max({distance, std::abs(cdf(sorted[i]) - i / n), std::abs(cdf(sorted[i]) - (i + 1) / n)});
  }
  return distance;
}

// 1.95 / sqrt(n) is exceeded with probability 1e-3 by a right law; the key is fixed, so the outcome is too.
const double kBound = 1.95 / std::sqrt(kDraws);

TEST(TimeLaw, UniformHasTheUniformDistribution) {
  EXPECT_LT(distance_to(sorted_times("uniform"), [](double t) { return t; }), kBound);
}

TEST(TimeLaw, LogitNormalHasItsDistributionAroundItsMean) {
  const auto cdf = [](double t) { return 0.5 * std::erfc(-(std::log(t / (1 - t)) - 0.5) / 1.2 / std::sqrt(2.0)); };
  EXPECT_LT(distance_to(sorted_times("logit-normal:0.5,1.2"), cdf), kBound);
}

TEST(TimeLaw, StaysBelowOneInTheFarTail) {
  for (int n = 0; n < 1000; ++n) {
    EXPECT_LT(TimeLaw::parse("logit-normal:40,1")(core::Draws(1, n, core::Purpose::kTime)), 1.0f);
  }
}

TEST(TimeLaw, RefusesWhatIsNoLaw) {
  for (const char* text : {"unifrom", "logit-normal:", "logit-normal:1", "logit-normal:0,0", "logit-normal:a,b"}) {
    try {
      TimeLaw::parse(text);
      FAIL() << text;
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kUsage) << text;
    }
  }
}

}  // namespace
}  // namespace pathline::flow
