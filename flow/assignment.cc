// SPDX-License-Identifier: Apache-2.0
#include "flow/assignment.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <limits>
#include <utility>

#include "core/error.h"
#include "core/every_isa.h"

namespace pathline::flow {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t kNone = -1;
constexpr std::size_t kLanes = 16;

// No contraction (-ffp-contract=off) and a fixed order of every comparison: all instruction sets give the same bits.
/// distance[j] = min(distance[j], costs[j] - prices[j] - base), `from` where that is new. Returns the smallest
/// distance. Arrays have a whole number of lanes.
PATHLINE_EVERY_ISA
double relax(std::size_t n, const float* costs, const double* prices, double base, std::int64_t from,
             double* __restrict distance, std::int64_t* __restrict previous) {
  std::array<double, kLanes> least;
  least.fill(kInfinity);
  for (std::size_t j = 0; j < n; j += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double through = static_cast<double>(costs[j + lane]) - prices[j + lane] - base;
      const double before = distance[j + lane];
      const bool shorter = through < before;
      const double now = shorter ? through : before;
      distance[j + lane] = now;
      previous[j + lane] = shorter ? from : previous[j + lane];
      least[lane] = now < least[lane] ? now : least[lane];
    }
  }
  return *std::ranges::min_element(least);
}

/// values[j] = costs[j] - prices[j]; the smallest of them and the next.
PATHLINE_EVERY_ISA
std::pair<double, double> two_least(std::size_t n, const float* costs, const double* prices,
                                    double* __restrict values) {
  std::array<double, kLanes> first, second;
  first.fill(kInfinity);
  second.fill(kInfinity);
  for (std::size_t j = 0; j < n; j += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double value = static_cast<double>(costs[j + lane]) - prices[j + lane];
      values[j + lane] = value;
      const double larger = value < first[lane] ? first[lane] : value;
      second[lane] = larger < second[lane] ? larger : second[lane];
      first[lane] = value < first[lane] ? value : first[lane];
    }
  }
  std::size_t best = 0;
  for (std::size_t lane = 1; lane < kLanes; ++lane) best = first[lane] < first[best] ? lane : best;
  double next = second[best];
  for (std::size_t lane = 0; lane < kLanes; ++lane) next = lane == best ? next : std::min(next, first[lane]);
  return {first[best], next};
}

class Solver {
 public:
  Solver(std::span<const float> costs, std::int64_t n)
      : n_(static_cast<std::size_t>(n)),
        width_((n_ + kLanes - 1) / kLanes * kLanes),
        costs_(n_ * width_, std::numeric_limits<float>::infinity()),
        prices_(width_, 0.0),
        column_of_(n_, kNone),
        row_of_(width_, kNone),
        distance_(width_),
        previous_(width_),
        open_prices_(width_) {
    for (std::size_t i = 0; i < n_; ++i) {
      for (std::size_t j = 0; j < n_; ++j) {
        const float cost = costs[i * n_ + j];
        PL_CHECK(std::isfinite(cost), core::ExitCode::kInput, "the cost of row ", i, " and column ", j, " is ", cost,
                 " (no assignment is best then). Repair or remove the samples whose values are not finite.");
        costs_[i * width_ + j] = cost;
      }
    }
  }

  Assignment operator()() {
    find_prices();
    for (const std::size_t row : match_cheapest()) augment(row);
    return result();
  }

 private:
  const float* row(std::size_t i) const { return costs_.data() + i * width_; }

  void match(std::size_t i, std::size_t j) {
    column_of_[i] = static_cast<std::int64_t>(j);
    row_of_[j] = static_cast<std::int64_t>(i);
  }

  void forget_matches() {
    std::ranges::fill(column_of_, kNone);
    std::ranges::fill(row_of_, kNone);
  }

  double range_of_costs() const {
    double least = kInfinity, largest = -kInfinity;
    for (std::size_t i = 0; i < n_; ++i) {
      const auto [low, high] = std::minmax_element(row(i), row(i) + n_);
      least = std::min(least, static_cast<double>(*low));
      largest = std::max(largest, static_cast<double>(*high));
    }
    return largest - least;
  }

  /// Auctions bring the prices near the best. Every phase starts without matches from the prices of the one before,
  /// with a smaller least bid; bids are counted, for a phase need not end with every row matched.
  void find_prices() {
    const double range = range_of_costs();
    for (double bid = range / 8; bid > range / (30 * static_cast<double>(n_)); bid /= 5) {
      forget_matches();
      auction(bid);
    }
    forget_matches();
  }

  /// A free row takes its cheapest column, whose price falls below what would make the next one as cheap.
  void auction(double bid) {
    std::deque<std::size_t> free;
    for (std::size_t i = 0; i < n_; ++i) free.push_back(i);
    for (std::size_t left = 20 * n_; !free.empty() && left > 0; --left) {
      const std::size_t i = free.front();
      free.pop_front();
      const auto [least, next] = two_least(width_, row(i), prices_.data(), distance_.data());
      const std::size_t j = column_at(least);
      prices_[j] -= (std::isfinite(next) ? next - least : 0.0) + bid;
      if (row_of_[j] != kNone) free.push_back(static_cast<std::size_t>(row_of_[j]));
      match(i, j);
    }
  }

  /// Every row takes its cheapest column if nobody has it yet. Returns the rows that are left.
  std::vector<std::size_t> match_cheapest() {
    std::vector<std::size_t> left;
    for (std::size_t i = 0; i < n_; ++i) {
      const double least = two_least(width_, row(i), prices_.data(), distance_.data()).first;
      const std::size_t j = column_at(least);
      if (row_of_[j] == kNone)
        match(i, j);
      else
        left.push_back(i);
    }
    for (std::size_t j = 0; j < n_; ++j) {
      if (row_of_[j] == kNone) free_columns_.push_back(j);
    }
    return left;
  }

  /// The first column at this distance.
  std::size_t column_at(double distance) const {
    const auto found = std::ranges::find(distance_, distance);
    PL_ASSERT(found != distance_.end());
    return static_cast<std::size_t>(found - distance_.begin());
  }

  /// The first free column at this distance: with many ties the way must not lead through all the others.
  std::size_t free_column_at(double distance) const {
    const auto found = std::ranges::find_if(free_columns_, [&](std::size_t j) { return distance_[j] == distance; });
    return found == free_columns_.end() ? n_ : *found;
  }

  /// Dijkstra from a free row to the nearest free column; matches change along the way. Columns that are reached have
  /// the price minus infinity in open_prices_, so nothing leads to them any more.
  void augment(std::size_t start) {
    std::ranges::fill(distance_, kInfinity);
    std::ranges::copy(prices_, open_prices_.begin());
    reached_.clear();
    std::size_t i = start;
    double base = 0, length = 0;
    std::size_t column = 0;
    while (true) {
      length = relax(width_, row(i), open_prices_.data(), base, static_cast<std::int64_t>(i), distance_.data(),
                     previous_.data());
      column = free_column_at(length);
      if (column < n_) break;
      column = column_at(length);
      reached_.push_back({column, length});
      distance_[column] = kInfinity;
      open_prices_[column] = -kInfinity;
      i = static_cast<std::size_t>(row_of_[column]);
      base = static_cast<double>(row(i)[column]) - prices_[column] - length;
    }
    for (const auto& [j, distance] : reached_) prices_[j] += distance - length;
    std::erase(free_columns_, column);
    while (true) {
      const auto from = static_cast<std::size_t>(previous_[column]);
      const std::int64_t next = column_of_[from];
      match(from, column);
      if (from == start) return;
      column = static_cast<std::size_t>(next);
    }
  }

  Assignment result() const {
    Assignment found;
    found.column_of = column_of_;
    found.column_price.assign(prices_.begin(), prices_.begin() + static_cast<std::ptrdiff_t>(n_));
    for (std::size_t i = 0; i < n_; ++i) {
      const auto j = static_cast<std::size_t>(column_of_[i]);
      found.row_price.push_back(static_cast<double>(row(i)[j]) - prices_[j]);
      found.cost += row(i)[j];
    }
    return found;
  }

  std::size_t n_, width_;     // columns, and with those that fill the last lanes: of infinite cost
  std::vector<float> costs_;  // (n, width)
  std::vector<double> prices_;
  std::vector<std::int64_t> column_of_, row_of_;
  std::vector<double> distance_;
  std::vector<std::int64_t> previous_;  // the row that a column is reached from
  std::vector<double> open_prices_;
  std::vector<std::size_t> free_columns_;                // rising
  std::vector<std::pair<std::size_t, double>> reached_;  // columns with their distances
};

}  // namespace

Assignment assign(std::span<const float> costs, std::int64_t n) {
  PL_ASSERT(n >= 0 && costs.size() == static_cast<std::size_t>(n * n));
  if (n == 0) return {};
  return Solver(costs, n)();
}

}  // namespace pathline::flow
