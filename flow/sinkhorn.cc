// SPDX-License-Identifier: Apache-2.0
#include "flow/sinkhorn.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "core/every_isa.h"
#include "core/random.h"

namespace pathline::flow {
namespace {

constexpr std::size_t kLanes = 16;
constexpr std::int64_t kMostIterations = 500;
constexpr double kTolerance = 0.01;

/// exp(x) for x <= 0 to 3e-7 of itself, and exp(-87), next to nothing, below; + and * alone, so that loops over it
/// vectorise with the same bits on every instruction set. 2^n times the Taylor polynomial on [-ln 2 / 2, ln 2 / 2].
inline float exp_of(float x) {
  const float bounded = x < -87.0f ? -87.0f : x;
  const auto n = static_cast<std::int32_t>(bounded * 1.44269504f - 0.5f);  // towards zero: the nearest
  const auto whole = static_cast<float>(n);
  const float r = bounded - whole * 0.693145752f - whole * 1.42860677e-6f;
  float p = r * (1.0f / 5040) + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  return p * std::bit_cast<float>((n + 127) << 23);
}

/// - log sum over j of exp(potential[j] - costs[j]), in fixed lanes. Arrays have a whole number of lanes.
PATHLINE_EVERY_ISA
float soft_minimum(std::size_t n, const float* costs, const float* potential) {
  std::array<float, kLanes> most, sums{};
  most.fill(-std::numeric_limits<float>::infinity());
  for (std::size_t j = 0; j < n; j += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const float value = potential[j + lane] - costs[j + lane];
      most[lane] = value > most[lane] ? value : most[lane];
    }
  }
  float largest = most[0];
  for (const float value : most) largest = value > largest ? value : largest;
  for (std::size_t j = 0; j < n; j += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      sums[lane] += exp_of(potential[j + lane] - costs[j + lane] - largest);
    }
  }
  return -largest - std::log(std::accumulate(sums.begin(), sums.end(), 0.0f));
}

/// Costs over epsilon, rows and columns, filled up to whole lanes with what counts for nothing.
class Iteration {
 public:
  explicit Iteration(EntropicPlan& plan)
      : plan_(plan),
        n_(plan.row.size()),
        width_((n_ + kLanes - 1) / kLanes * kLanes),
        by_row_(n_ * width_, std::numeric_limits<float>::max()),
        by_column_(by_row_) {
    for (std::size_t i = 0; i < n_; ++i) {
      for (std::size_t j = 0; j < n_; ++j) {
        by_row_[i * width_ + j] = by_column_[j * width_ + i] = plan.scaled[i * n_ + j];
      }
    }
    plan_.row.resize(width_, 0.0f);
    plan_.column.resize(width_, 0.0f);
  }
  ~Iteration() {
    plan_.row.resize(n_);
    plan_.column.resize(n_);
  }

  /// Rows, then columns. How far the rows' sums were off before: exp(old - new) is n times a row's sum.
  double step() {
    double off = 0;
    for (std::size_t i = 0; i < n_; ++i) {
      const float now = soft_minimum(width_, by_row_.data() + i * width_, plan_.column.data());
      off = std::max(off, std::abs(std::expm1(static_cast<double>(plan_.row[i]) - now)));
      plan_.row[i] = now;
    }
    for (std::size_t j = 0; j < n_; ++j) {
      plan_.column[j] = soft_minimum(width_, by_column_.data() + j * width_, plan_.row.data());
    }
    return off;
  }

 private:
  EntropicPlan& plan_;
  std::size_t n_, width_;
  std::vector<float> by_row_, by_column_;
};

}  // namespace

EntropicPlan entropic_plan(std::span<const float> costs, std::int64_t n, double epsilon) {
  const auto size = static_cast<std::size_t>(n);
  PL_ASSERT(costs.size() == size * size && epsilon > 0);
  PL_CHECK(std::ranges::all_of(costs, [](float cost) { return std::isfinite(cost); }), core::ExitCode::kInput,
           "a cost between samples is not finite (there is no plan then). ",
           "Repair or remove the samples whose values are not finite.");
  EntropicPlan plan;
  plan.epsilon = epsilon;
  plan.scaled.resize(costs.size());
  for (std::size_t k = 0; k < costs.size(); ++k) {
    plan.scaled[k] = static_cast<float>(static_cast<double>(costs[k]) / plan.epsilon);
  }
  plan.row.assign(size, 0.0f);
  plan.column.assign(size, 0.0f);
  Iteration iteration(plan);
  do {
    plan.error = iteration.step();  // of the iterate before: the first is not judged
    ++plan.iterations;
  } while ((plan.iterations == 1 || plan.error > kTolerance) && plan.iterations < kMostIterations);
  return plan;
}

namespace {

/// Rows by a keyed draw; of equal draws the lower index first.
std::vector<std::size_t> order_of_rows(std::uint64_t seed, std::span<const std::uint64_t> keys) {
  std::vector<std::pair<std::uint32_t, std::size_t>> drawn;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    drawn.emplace_back(core::Draws(seed, keys[i], core::Purpose::kCoupling).bits(0), i);
  }
  std::ranges::sort(drawn);
  std::vector<std::size_t> order;
  for (const auto& [bits, i] : drawn) order.push_back(i);
  return order;
}

/// Which of `left` row i takes, as an index into it.
std::size_t draw_one(const EntropicPlan& plan, std::size_t i, const std::vector<std::size_t>& left, float uniform,
                     std::vector<float>& shares) {
  shares.clear();
  for (const std::size_t j : left) shares.push_back(plan.log_share(i, j));
  const float largest = *std::ranges::max_element(shares);
  double total = 0;
  for (float& share : shares) total += share = exp_of(share - largest);
  double until = uniform * total;
  for (std::size_t k = 0; k < left.size(); ++k) {
    until -= shares[k];
    if (until < 0) return k;
  }
  return static_cast<std::size_t>(std::ranges::max_element(shares) - shares.begin());  // rounding: the likeliest
}

}  // namespace

std::vector<std::int64_t> drawn_permutation(const EntropicPlan& plan, std::uint64_t seed,
                                            std::span<const std::uint64_t> keys) {
  PL_ASSERT(keys.size() == plan.row.size());
  std::vector<std::size_t> left(keys.size());
  std::iota(left.begin(), left.end(), 0);
  std::vector<std::int64_t> column_of(keys.size());
  std::vector<float> shares;
  for (const std::size_t i : order_of_rows(seed, keys)) {
    const float uniform = core::Draws(seed, keys[i], core::Purpose::kCoupling).uniform(1);
    const std::size_t k = draw_one(plan, i, left, uniform, shares);
    column_of[i] = static_cast<std::int64_t>(left[k]);
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(k));
  }
  return column_of;
}

}  // namespace pathline::flow
