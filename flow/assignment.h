// SPDX-License-Identifier: Apache-2.0
// The exact linear assignment: the permutation of least cost, with the prices that prove it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace pathline::flow {

struct Assignment {
  std::vector<std::int64_t> column_of;  // (n) of each row; a permutation
  /// (n) each: row_price[i] + column_price[j] <= cost(i, j) for all, with equality for the pairs chosen, both up to
  /// rounding. By linear programming's duality no permutation costs less than the sum of all prices.
  std::vector<double> row_price, column_price;
  double cost = 0;  // sum of the chosen pairs, fp64
};

/// `costs` (n, n), row by row. Shortest augmenting paths (Jonker and Volgenant, "A shortest augmenting path algorithm
/// for dense and sparse linear assignment problems", Computing 38, 1987) from prices that auctions with falling bids
/// leave (Bertsekas, "The auction algorithm", Annals of Operations Research 14, 1988): column reduction alone leaves
/// most rows of two clouds of different width to the paths. fp64, deterministic; of equal choices the lowest index.
/// O(n^3) at worst. Throws ExitCode::kInput for a cost that is not finite.
Assignment assign(std::span<const float> costs, std::int64_t n);

}  // namespace pathline::flow
