// SPDX-License-Identifier: Apache-2.0
// Entropic optimal transport between two sets of n equal weights (Cuturi, "Sinkhorn distances", NIPS 2013), in the log
// domain, and a permutation drawn from its plan.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace pathline::flow {

/// plan(i, j) = exp((row[i] + column[j] - cost(i, j)) / epsilon).
struct EntropicPlan {
  double epsilon = 0;              // in units of the cost
  std::vector<float> row, column;  // (n) each, over epsilon
  std::vector<float> scaled;       // (n, n) cost / epsilon
  std::int64_t iterations = 0;
  double error = 0;  // largest |n sum_j plan(i, j) - 1|; columns sum to 1/n up to rounding

  /// log(n plan(i, j)).
  float log_share(std::size_t i, std::size_t j) const { return row[i] + column[j] - scaled[i * row.size() + j]; }
};

/// `costs` (n, n), row by row; `epsilon` > 0 is the weight of the entropy, in units of the cost. Iterates until
/// every row holds its weight up to 1 %, at most 500 times: fp32 sums in fixed order, the same bits on every machine.
/// Throws ExitCode::kInput for a cost that is not finite.
EntropicPlan entropic_plan(std::span<const float> costs, std::int64_t n, double epsilon);

/// column of each row, a permutation drawn without replacement: rows in the order of a keyed draw; each draws one of
/// the columns that are left with probability proportional to its part of the plan. (Rows that come late take what is
/// left, so a pair's probability is not exactly the plan's; every sample is used exactly once.) Row i draws with the
/// key (seed, keys[i], core::Purpose::kCoupling).
std::vector<std::int64_t> drawn_permutation(const EntropicPlan& plan, std::uint64_t seed,
                                            std::span<const std::uint64_t> keys);

}  // namespace pathline::flow
