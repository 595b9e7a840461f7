// SPDX-License-Identifier: Apache-2.0
#include "sampler/precision_recall.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <limits>

#include "core/error.h"

namespace pathline::sampler {
namespace {

constexpr std::int64_t kTileRows = 1024, kTileColumns = 4096;  // 32 MiB of distances

struct Rows {
  at::Tensor values, squares;  // (N, D) fp64, and |row|^2 (N)

  std::int64_t count() const { return values.size(0); }
  Rows slice(std::int64_t first, std::int64_t last) const {
    return {values.slice(0, first, last), squares.slice(0, first, last)};
  }
};

/// About the mean of the reference, so that little cancels in |a|^2 + |b|^2 - 2 a b.
Rows rows_about(const at::Tensor& centre, const at::Tensor& rows) {
  const at::Tensor values = rows.to(at::kDouble) - centre;
  return {values, (values * values).sum(1)};
}

/// (n, m). What is below the rounding of the squares themselves is 0: equal rows are at distance 0.
at::Tensor squared_distances(const Rows& a, const Rows& b) {
  constexpr double kRounding = 1e-12;
  const at::Tensor sum = a.squares.unsqueeze(1) + b.squares.unsqueeze(0);
  const at::Tensor distances = sum - 2 * a.values.mm(b.values.t());
  return at::where(distances < kRounding * sum, 0.0, distances);
}

/// take(first, end, tile): for all columns, tile by tile.
template <class Take>
void for_tiles(const Rows& rows, const Rows& columns, const Take& take) {
  for (std::int64_t first = 0; first < columns.count(); first += kTileColumns) {
    const std::int64_t end = std::min(first + kTileColumns, columns.count());
    take(first, end, squared_distances(rows, columns.slice(first, end)));
  }
}

/// (N): of every row to its k-th nearest mate, squared.
at::Tensor squared_radii(const Rows& all, std::int64_t k) {
  at::Tensor radii = at::empty({all.count()}, at::kDouble);
  for (std::int64_t begin = 0; begin < all.count(); begin += kTileRows) {
    const std::int64_t end = std::min(begin + kTileRows, all.count());
    at::Tensor nearest = at::full({end - begin, k}, std::numeric_limits<double>::infinity(), at::kDouble);
    for_tiles(all.slice(begin, end), all, [&](std::int64_t first, std::int64_t last, at::Tensor tile) {
      for (std::int64_t row = std::max(begin, first); row < std::min(end, last); ++row) {
        tile[row - begin][row - first].fill_(std::numeric_limits<double>::infinity());  // itself
      }
      nearest = std::get<0>(at::cat({nearest, tile}, 1).topk(k, 1, /*largest=*/false));
    });
    radii.slice(0, begin, end).copy_(std::get<0>(nearest.max(1)));
  }
  return radii;
}

/// Share of `rows` in a ball around one of `centres`.
double share_inside(const Rows& rows, const Rows& centres, const at::Tensor& squared_radius) {
  std::int64_t inside = 0;
  for (std::int64_t begin = 0; begin < rows.count(); begin += kTileRows) {
    const std::int64_t end = std::min(begin + kTileRows, rows.count());
    at::Tensor found = at::zeros({end - begin}, at::kBool);
    for_tiles(rows.slice(begin, end), centres, [&](std::int64_t first, std::int64_t last, const at::Tensor& tile) {
      found.logical_or_((tile <= squared_radius.slice(0, first, last)).any(1));
    });
    inside += found.sum().item<std::int64_t>();
  }
  return static_cast<double>(inside) / static_cast<double>(rows.count());
}

}  // namespace

PrecisionRecall precision_recall(const at::Tensor& set, const at::Tensor& reference, std::int64_t k) {
  const at::NoGradGuard no_grad;
  PL_CHECK(set.size(1) == reference.size(1), core::ExitCode::kInput, "precision and recall of ", set.size(1),
           " features against ", reference.size(1), " (both sets need the same network). Use sets of one kind.");
  PL_CHECK(std::min(set.size(0), reference.size(0)) > k, core::ExitCode::kUsage, "precision and recall of ",
           set.size(0), " samples against ", reference.size(0), " (a ball reaches to the ", k,
           "-th nearest sample of its own set). Give more of both.");
  const at::Tensor centre = reference.to(at::kDouble).mean(0);
  const Rows ours = rows_about(centre, set), theirs = rows_about(centre, reference);
  return {share_inside(ours, theirs, squared_radii(theirs, k)), share_inside(theirs, ours, squared_radii(ours, k))};
}

}  // namespace pathline::sampler
