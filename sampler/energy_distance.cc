// SPDX-License-Identifier: Apache-2.0
#include "sampler/energy_distance.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_select.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "core/error.h"
#include "core/random.h"
#include "data/sample_order.h"

namespace pathline::sampler {
namespace {

using core::ExitCode;

double distance(const double* a, const double* b, std::int64_t dimensions) {
  double squares = 0;
  for (std::int64_t d = 0; d < dimensions; ++d) squares += (a[d] - b[d]) * (a[d] - b[d]);
  return std::sqrt(squares);
}

/// Mean of |x_i - y_j| over all pairs: each row's sum by itself, then the rows in order.
double mean_distance(const at::Tensor& x, const at::Tensor& y) {
  const double *a = x.const_data_ptr<double>(), *b = y.const_data_ptr<double>();
  const std::int64_t rows = x.size(0), columns = y.size(0), dimensions = x.size(1);
  std::vector<double> sums(static_cast<std::size_t>(rows));
  at::parallel_for(0, rows, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      double sum = 0;
      for (std::int64_t j = 0; j < columns; ++j) sum += distance(a + i * dimensions, b + j * dimensions, dimensions);
      sums[static_cast<std::size_t>(i)] = sum;
    }
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0) / (static_cast<double>(rows) * static_cast<double>(columns));
}

/// Rows permutation(first), permutation(first + 1), ...
at::Tensor rows_of(const at::Tensor& all, const data::KeyedBijection& permutation, std::int64_t first,
                   std::int64_t count) {
  std::vector<std::int64_t> places;
  for (std::int64_t i = first; i < first + count; ++i) {
    places.push_back(static_cast<std::int64_t>(permutation(static_cast<std::uint64_t>(i))));
  }
  return at::index_select(all, 0, at::from_blob(places.data(), {count}, at::kLong));
}

void check_enough(const char* what, std::int64_t found, std::int64_t needed, std::int64_t most) {
  PL_CHECK(found >= needed, ExitCode::kUsage, "the ", what, " holds ", found, " points, and draws need ", needed,
           " (the data are drawn twice, for the floor). Give more points, or --points ", most, ".");
}

}  // namespace

double energy_distance(const at::Tensor& x, const at::Tensor& y) {
  PL_CHECK(x.dim() == 2 && y.dim() == 2 && x.size(1) == y.size(1) && x.size(0) > 0 && y.size(0) > 0, ExitCode::kInput,
           "sets of shapes ", x.sizes(), " and ", y.sizes(),
           " have no energy distance (points of one dimension are needed).");
  const at::Tensor a = x.to(at::kDouble).contiguous(), b = y.to(at::kDouble).contiguous();
  return 2 * mean_distance(a, b) - mean_distance(a, a) - mean_distance(b, b);
}

DrawnEnergy drawn_energy(const at::Tensor& set, const at::Tensor& data, const EnergyDraws& how) {
  PL_CHECK(how.draws > 0 && how.points > 0, ExitCode::kUsage, "--draws ", how.draws, " and --points ", how.points,
           " must be positive.");
  const std::int64_t most = std::min(set.size(0), data.size(0) / 2);
  check_enough("set", set.size(0), how.points, most);
  check_enough("reference", data.size(0), 2 * how.points, most);
  const auto purpose = static_cast<std::uint32_t>(core::Purpose::kEvaluationDraw);
  DrawnEnergy result;
  for (std::int64_t draw = 0; draw < how.draws; ++draw) {
    const auto number = static_cast<std::uint64_t>(draw);
    const data::KeyedBijection of_set(how.seed, number, purpose, static_cast<std::uint64_t>(set.size(0)));
    const data::KeyedBijection of_data(how.seed, number, purpose + 1, static_cast<std::uint64_t>(data.size(0)));
    const at::Tensor against = rows_of(data, of_data, 0, how.points);
    result.distance.push_back(energy_distance(rows_of(set, of_set, 0, how.points), against));
    result.floor.push_back(energy_distance(rows_of(data, of_data, how.points, how.points), against));
  }
  return result;
}

}  // namespace pathline::sampler
