// SPDX-License-Identifier: Apache-2.0
// Arithmetic on one sample's elements, for the slot engine. Sums over stages and elements are fp64 and in a fixed
// order: the same bits wherever the row lies.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>

namespace pathline::sampler {

/// Elements of one row, cut into pieces that stay in the first cache.
template <class Body>
void for_each_piece(std::size_t n, const Body& body) {
  constexpr std::size_t kPiece = 512;
  for (std::size_t begin = 0; begin < n; begin += kPiece) body(begin, std::min(kPiece, n - begin));
}

/// sums[e] = sum_i weights[i] k_i[begin + e], for the first weights.size() slopes.
template <class State>
void sum_slopes(std::span<const double> weights, const State* const* k, std::size_t begin, std::size_t count,
                double* sums) {
  std::fill_n(sums, count, 0.0);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] == 0) continue;
    const State* slope = k[i] + begin;
    for (std::size_t e = 0; e < count; ++e) sums[e] += weights[i] * static_cast<double>(slope[e]);
  }
}

/// out = y + dt sum_i weights[i] k_i; false if an element is not finite.
template <class State>
bool advance_row(const State* y, double dt, std::span<const double> weights, const State* const* k, std::size_t n,
                 State* out) {
  bool finite = true;
  std::array<double, 512> sums;
  for_each_piece(n, [&](std::size_t begin, std::size_t count) {
    sum_slopes(weights, k, begin, count, sums.data());
    for (std::size_t e = 0; e < count; ++e) {
      out[begin + e] = static_cast<State>(static_cast<double>(y[begin + e]) + dt * sums[e]);
      finite &= std::isfinite(out[begin + e]);
    }
  });
  return finite;
}

/// out = sum_i weights[i] rows_i; false if an element is not finite. `out` may be one of the rows.
template <class State>
bool combine_rows(std::span<const double> weights, const State* const* rows, std::size_t n, State* out) {
  bool finite = true;
  std::array<double, 512> sums;
  for_each_piece(n, [&](std::size_t begin, std::size_t count) {
    sum_slopes(weights, rows, begin, count, sums.data());
    for (std::size_t e = 0; e < count; ++e) {
      out[begin + e] = static_cast<State>(sums[e]);
      finite &= std::isfinite(out[begin + e]);
    }
  });
  return finite;
}

/// RMS of dt sum_i e_i k_i over atol + rtol max(|y|, |y_new|), of elements [first, first + n).
template <class State>
double error_ratio_of(const State* y, const State* y_new, double dt, std::span<const double> e, const State* const* k,
                      std::size_t first, std::size_t n, double rtol, double atol) {
  double squares = 0;
  std::array<double, 512> sums;
  for_each_piece(n, [&](std::size_t from, std::size_t count) {
    const std::size_t begin = first + from;
    sum_slopes(e, k, begin, count, sums.data());
    for (std::size_t i = 0; i < count; ++i) {
      const double size =
          std::max(std::abs(static_cast<double>(y[begin + i])), std::abs(static_cast<double>(y_new[begin + i])));
      const double ratio = dt * sums[i] / (atol + rtol * size);
      squares += ratio * ratio;
    }
  });
  return std::sqrt(squares / static_cast<double>(n));
}

/// RMS of value(i) over atol + rtol |y_i|.
template <class State, class Value>
double scaled_norm(const State* y, std::size_t n, double rtol, double atol, const Value& value) {
  double squares = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double ratio = value(i) / (atol + rtol * std::abs(static_cast<double>(y[i])));
    squares += ratio * ratio;
  }
  return std::sqrt(squares / static_cast<double>(n));
}

}  // namespace pathline::sampler
