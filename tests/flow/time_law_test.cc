// SPDX-License-Identifier: Apache-2.0
#include "flow/time_law.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
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

TEST(TimeLaw, ModeHasTheDistributionOfItsFormula) {
  for (const double k : {-0.7, 0.0, 1.29}) {
    // In time that runs backwards, by bisection in u.
    const auto cdf = [k](double t) {
      double low = 0, high = 1;
      for (int i = 0; i < 50; ++i) {
        const double u = (low + high) / 2, c = std::cos(std::numbers::pi / 2 * u);
        (1 - (1 - u - k * (c * c - 1 + u)) < t ? low : high) = u;
      }
      return low;
    };
    EXPECT_LT(distance_to(sorted_times("mode:" + std::to_string(k)), cdf), kBound) << k;
  }
}

TEST(TimeLaw, CosmapHasItsDensity) {
  const auto cdf = [](double t) {  // by Simpson's rule in ten pieces, which errs by less than 1e-6
    const auto density = [](double s) { return 2 / (std::numbers::pi * (1 - 2 * s + 2 * s * s)); };
    double sum = 0;
    for (int i = 0; i < 10; ++i) {
      const double a = t * i / 10, b = t * (i + 1) / 10;
      sum += (b - a) / 6 * (density(a) + 4 * density((a + b) / 2) + density(b));
    }
    return sum;
  };
  EXPECT_LT(distance_to(sorted_times("cosmap"), cdf), kBound);
}

TEST(TimeLaw, EdmDrawsLogNormalNoiseLevelsOnAnyPath) {
  for (const char* path : {"linear", "cosine", "vp"}) {
    const Path p = Path::parse(path);
    std::vector<double> times;
    const TimeLaw law = TimeLaw::parse("edm:-1.2,1.2", p);
    for (int n = 0; n < kDraws; ++n) times.push_back(law(core::Draws(7, n, core::Purpose::kTime)));
    std::sort(times.begin(), times.end());
    const auto cdf = [&](double t) {  // of ln(s / a), which falls with t
      return 0.5 * std::erfc((std::log(p.at(t).s / p.at(t).a) + 1.2) / 1.2 / std::sqrt(2.0));
    };
    EXPECT_LT(distance_to(times, cdf), kBound) << path;
  }
}

TEST(TimeLaw, StaysBelowOneInTheFarTail) {
  for (const char* text : {"logit-normal:40,1", "edm:-90,1"}) {
    for (int n = 0; n < 1000; ++n) {
      EXPECT_LT(TimeLaw::parse(text)(core::Draws(1, n, core::Purpose::kTime)), 1.0f);
    }
  }
}

TEST(TimeLaw, RefusesWhatIsNoLaw) {
  for (const char* text : {"unifrom", "logit-normal:", "logit-normal:1", "logit-normal:0,0", "logit-normal:a,b", "mode",
                           "mode:2", "mode:-1.1", "cosmap:1", "edm", "edm:0,0"}) {
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
