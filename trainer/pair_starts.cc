// SPDX-License-Identifier: Apache-2.0
#include "trainer/pair_starts.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"

namespace pathline::trainer {

std::string doubt_of_normal_starts(const data::ShardSource& source) {
  constexpr std::int64_t kMostRows = 1000;
  constexpr double kMeanBound = 0.25, kLeastVariance = 0.6, kMostVariance = 1.6;
  const std::int64_t count = source.info().count, rows = std::min(kMostRows, count);
  std::vector<float> start(source.info().item_values());
  double sum = 0, squares = 0, values = 0;
  for (std::int64_t row = 0; row < rows; ++row) {
    source.read_start(row * count / rows, start);
    for (const double value : start) {
      sum += value;
      squares += value * value;
    }
    values += static_cast<double>(start.size());
  }
  const double mean = sum / values, variance = squares / values - mean * mean;
  // Few values say little: a normal mean lies within 5 / sqrt(n), its variance within 5 sqrt(2 / n).
  const double mean_bound = kMeanBound + 5 / std::sqrt(values), spread = 5 * std::sqrt(2 / values);
  if (std::abs(mean) <= mean_bound && variance >= kLeastVariance - spread && variance <= kMostVariance + spread)
    return "";
  return core::concat("mean ", mean, " and variance ", variance, " over ", rows, " of them");
}

}  // namespace pathline::trainer
