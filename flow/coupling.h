// SPDX-License-Identifier: Apache-2.0
// Which noise x0 meets which sample x1 of a batch (flow.coupling): a pure function of the ordered batch, so it does not
// depend on ranks or threads. Tong et al., "Improving and generalizing flow-based generative models with minibatch
// optimal transport" (arXiv 2302.00482); every sample and every noise is used exactly once. No LibTorch.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/config.h"

namespace pathline::flow {

struct CouplingOptions {
  std::string source = "gaussian";       // gaussian | uniform | data:FILE.h5
  std::string coupling = "independent";  // as Coupling::parse()
  std::int64_t coupling_block = 2048;    // noise and samples are permuted within as many neighbours
  double coupling_label_cost = 10;       // Coupling::label_cost of conditional models
};

/// Those keys of [flow]. Throws ExitCode::kUsage.
void bind(core::Config& recipe, CouplingOptions& options);

struct Coupling {
  enum class Kind {
    kIndependent,
    kOptimal,   // the assignment of least squared distance
    kSinkhorn,  // drawn from the entropic plan
    kPairs,     // as the data set says
  };
  Kind kind = Kind::kIndependent;
  double epsilon = 0;  // of kSinkhorn, times the mean cost
  /// Added to the cost of a pair whose labels differ, times the block's mean cost. Noise j has the label of sample j: a
  /// conditional model that is asked for one label alone would otherwise start from noise that training never gave it
  /// (Cheng and Schwing, "The curse of conditions", arXiv 2503.10636).
  double label_cost = 0;

  /// "independent", "ot", "sinkhorn:eps", "pairs". Throws ExitCode::kUsage.
  static Coupling parse(const std::string& text);
  /// Without labels for an unconditional model.
  static Coupling of(const CouplingOptions& options, bool conditional);
  bool permutes() const { return kind == Kind::kOptimal || kind == Kind::kSinkhorn; }
};

/// costs[i * columns + j] = |x1_i - x0_j|^2; x1 (rows, size), x0 (columns, size), costs (rows, columns). fp32 sums in
/// the order of the elements: an entry depends on its two vectors alone.
void squared_distances(std::span<const float> x1, std::span<const float> x0, std::size_t size, std::span<float> costs);

/// Where the blocks of a batch begin, and its end: as few as do, equally long up to one.
std::vector<std::size_t> block_bounds(std::int64_t batch, std::int64_t most);

/// Which noise each sample of a block meets: a permutation of [0, n). `costs` (n, n) of samples (rows) and noise,
/// without the label term, which this adds; `labels` (n), -1 for none; `positions` (n) key the draws of kSinkhorn.
/// A block with a cost that is not finite keeps its order: the step will fail, and name the sample.
std::vector<std::int64_t> coupled(const Coupling& coupling, std::vector<float> costs,
                                  std::span<const std::int64_t> labels, std::uint64_t seed,
                                  std::span<const std::uint64_t> positions);

/// The same for a whole batch x1, x0 (n, size) in blocks of up to `block`: a permutation of [0, n) that stays in them.
std::vector<std::int64_t> coupled_batch(const Coupling& coupling, std::int64_t block, std::span<const float> x1,
                                        std::span<const float> x0, std::size_t size,
                                        std::span<const std::int64_t> labels, std::uint64_t seed,
                                        std::span<const std::uint64_t> positions);

}  // namespace pathline::flow
