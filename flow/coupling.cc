// SPDX-License-Identifier: Apache-2.0
#include "flow/coupling.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string_view>

#include "core/error.h"
#include "core/every_isa.h"
#include "core/text.h"
#include "flow/assignment.h"
#include "flow/sinkhorn.h"

namespace pathline::flow {
namespace {

constexpr std::size_t kTile = 32;  // columns whose sums stay in registers
constexpr std::string_view kData = "data:";
constexpr char kSinkhornWord[] = "sinkhorn:";

/// sums[l] += (x - tile[d][l])^2 over d, in order; x (size), tile (size, kTile).
PATHLINE_EVERY_ISA void add_to_tile(std::size_t size, const float* x, const float* tile, float* __restrict sums) {
  std::array<float, kTile> own{};
  for (std::size_t d = 0; d < size; ++d) {
    for (std::size_t lane = 0; lane < kTile; ++lane) {
      const float difference = x[d] - tile[d * kTile + lane];
      own[lane] += difference * difference;
    }
  }
  for (std::size_t lane = 0; lane < kTile; ++lane) sums[lane] = own[lane];
}

double mean_of(std::span<const float> costs) {
  double sum = 0;
  for (const float cost : costs) sum += cost;
  return costs.empty() ? 0 : sum / static_cast<double>(costs.size());
}

void add_label_cost(double label_cost, std::span<const std::int64_t> labels, std::vector<float>& costs) {
  const auto extra = static_cast<float>(label_cost);
  const std::size_t n = labels.size();
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      if (labels[i] != labels[j]) costs[i * n + j] += extra;
    }
  }
}

}  // namespace

Coupling Coupling::parse(const std::string& text) {
  Coupling coupling;
  if (text == "independent") return coupling;
  if (text == "ot") coupling.kind = Kind::kOptimal;
  if (text == "pairs") coupling.kind = Kind::kPairs;
  if (text.starts_with(kSinkhornWord)) {
    coupling.kind = Kind::kSinkhorn;
    coupling.epsilon = core::parse_number(text.substr(sizeof(kSinkhornWord) - 1), "eps in flow.coupling");
    PL_CHECK(
        coupling.epsilon >= 1e-3 && coupling.epsilon <= 1e3, core::ExitCode::kUsage, "flow.coupling = \"", text,
        "\" weighs the entropy with ", coupling.epsilon,
        " mean costs (from 0.001 to 1000 can be computed; 0 is \"ot\", and much more is \"independent\"). Use for ",
        "example \"sinkhorn:0.05\".");
  }
  PL_CHECK(coupling.kind != Kind::kIndependent, core::ExitCode::kUsage, "flow.coupling = \"", text,
           "\" is no way to pair noise with samples. Use \"independent\", \"ot\", \"sinkhorn:eps\" or \"pairs\".");
  return coupling;
}

Coupling Coupling::of(const CouplingOptions& options, bool conditional) {
  Coupling coupling = parse(options.coupling);
  if (conditional) coupling.label_cost = options.coupling_label_cost;
  return coupling;
}

void bind(core::Config& recipe, CouplingOptions& options) {
  using core::OnResume;
  recipe.bind("flow", "source", options.source, OnResume::kFixed,
              "of x0: gaussian | uniform | data:FILE.h5; with pairs, what samples start from");
  recipe.bind("flow", "coupling", options.coupling, OnResume::kFixed,
              "which x0 meets which sample: independent | ot | sinkhorn:eps | pairs");
  recipe.bind("flow", "coupling_block", options.coupling_block, OnResume::kFixed,
              "ot, sinkhorn: a larger batch is cut into blocks of as many samples");
  recipe.bind("flow", "coupling_label_cost", options.coupling_label_cost, OnResume::kFixed,
              "ot, sinkhorn: cost of two labels in one pair, times the mean cost; conditional models only");
  const Coupling coupling = Coupling::parse(options.coupling);
  const std::string& source = options.source;
  PL_CHECK(source == "gaussian" || source == "uniform" || (source.starts_with(kData) && source.size() > kData.size()),
           core::ExitCode::kUsage, "flow.source = \"", source,
           "\" is no distribution to start from. Use \"gaussian\", \"uniform\" or \"data:FILE.h5\".");
  const CouplingOptions usual;
  PL_CHECK(coupling.permutes() || (options.coupling_block == usual.coupling_block &&
                                   options.coupling_label_cost == usual.coupling_label_cost),
           core::ExitCode::kUsage, "flow.coupling_block or coupling_label_cost with flow.coupling = \"",
           options.coupling, "\" (only \"ot\" and \"sinkhorn:eps\" read them). Leave them away.");
  PL_CHECK(options.coupling_block >= 2, core::ExitCode::kUsage, "flow.coupling_block = ", options.coupling_block,
           " leaves nothing to choose from. Use 2 or more; 2048 takes about half a second a block.");
  PL_CHECK(options.coupling_label_cost >= 0, core::ExitCode::kUsage,
           "flow.coupling_label_cost = ", options.coupling_label_cost,
           " would favour noise of other labels. Use 0 or more.");
}

void squared_distances(std::span<const float> x1, std::span<const float> x0, std::size_t size, std::span<float> costs) {
  PL_ASSERT(size > 0);
  const std::size_t rows = x1.size() / size, columns = x0.size() / size;
  PL_ASSERT(costs.size() == rows * columns);
  std::vector<float> tile(size * kTile);
  std::array<float, kTile> sums;
  for (std::size_t first = 0; first < columns; first += kTile) {
    const std::size_t count = std::min(kTile, columns - first);
    for (std::size_t lane = 0; lane < count; ++lane) {
      for (std::size_t d = 0; d < size; ++d) tile[d * kTile + lane] = x0[(first + lane) * size + d];
    }
    for (std::size_t i = 0; i < rows; ++i) {
      add_to_tile(size, x1.data() + i * size, tile.data(), sums.data());
      std::copy_n(sums.begin(), count, costs.begin() + static_cast<std::ptrdiff_t>(i * columns + first));
    }
  }
}

std::vector<std::int64_t> coupled(const Coupling& coupling, std::vector<float> costs,
                                  std::span<const std::int64_t> labels, std::uint64_t seed,
                                  std::span<const std::uint64_t> positions) {
  PL_ASSERT(coupling.permutes() && labels.size() == positions.size());
  if (!std::ranges::all_of(costs, [](float cost) { return std::isfinite(cost); })) {
    std::vector<std::int64_t> same(labels.size());
    std::iota(same.begin(), same.end(), 0);
    return same;
  }
  const double mean = mean_of(costs);  // of the distances alone: labels leave the entropy's weight as it is
  if (coupling.label_cost > 0) add_label_cost(coupling.label_cost * mean, labels, costs);
  const auto n = static_cast<std::int64_t>(labels.size());
  if (coupling.kind == Coupling::Kind::kOptimal) return assign(costs, n).column_of;
  return drawn_permutation(entropic_plan(costs, n, coupling.epsilon * (mean > 0 ? mean : 1.0)), seed, positions);
}

std::vector<std::size_t> block_bounds(std::int64_t batch, std::int64_t most) {
  PL_ASSERT(batch >= 0 && most > 0);
  const std::int64_t blocks = std::max<std::int64_t>(1, (batch + most - 1) / most);
  std::vector<std::size_t> bounds;
  for (std::int64_t b = 0; b <= blocks; ++b) bounds.push_back(static_cast<std::size_t>(batch * b / blocks));
  return bounds;
}

std::vector<std::int64_t> coupled_batch(const Coupling& coupling, std::int64_t block, std::span<const float> x1,
                                        std::span<const float> x0, std::size_t size,
                                        std::span<const std::int64_t> labels, std::uint64_t seed,
                                        std::span<const std::uint64_t> positions) {
  const std::vector<std::size_t> bounds = block_bounds(std::ssize(labels), block);
  std::vector<std::int64_t> noise_of;
  for (std::size_t b = 0; b + 1 < bounds.size(); ++b) {
    const std::size_t first = bounds[b], n = bounds[b + 1] - first;
    std::vector<float> costs(n * n);
    squared_distances(x1.subspan(first * size, n * size), x0.subspan(first * size, n * size), size, costs);
    for (const std::int64_t j :
         coupled(coupling, std::move(costs), labels.subspan(first, n), seed, positions.subspan(first, n))) {
      noise_of.push_back(static_cast<std::int64_t>(first) + j);
    }
  }
  return noise_of;
}

}  // namespace pathline::flow
