// SPDX-License-Identifier: Apache-2.0
// Where x0 come from (flow.source): drawn noise, or an unpaired data set of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/shard_source.h"
#include "flow/coupling.h"
#include "sampler/solver_options.h"

namespace pathline::sampler {

class StartSource {
 public:
  /// What an index counts: positions of training, held-out samples, sample ids.
  enum class Use { kTraining, kValidation, kGeneration };

  /// `source`: "gaussian", "uniform" (on [-1, 1), every element alone) or "data:FILE.h5", which is opened.
  /// `sample_shape`: (C, H, W) or (D). Throws ExitCode::kInput naming the file if it cannot be read, kUsage if it holds
  /// samples of another shape.
  StartSource(const std::string& source, std::span<const std::int64_t> sample_shape);

  bool gaussian() const { return kind_ == Kind::kGaussian; }

  /// x0 number `index`, in the shape of a sample. A pure function of its arguments and the source. Samples of a data
  /// set come in a keyed order of their own, every one once before any comes again. Safe from any number of threads.
  void fill(Use use, std::uint64_t seed, std::uint64_t index, std::span<float> out) const;

  /// What the start of a sample depends on: "gaussian", "uniform", "data:" and the set's digest and count.
  std::string identity() const;

 private:
  enum class Kind { kGaussian, kUniform, kData };
  Kind kind_;
  std::shared_ptr<const data::ShardSource> data_;  // of kData
};

/// Null for "gaussian", which needs no source. Throws as StartSource.
std::shared_ptr<const StartSource> open_starts(const std::string& source, std::span<const std::int64_t> sample_shape);

/// What `what` ("--solver em") needs of a model's training; throws ExitCode::kUsage otherwise. The density of x0:
/// normal.
void check_density(const flow::CouplingOptions& trained, const std::string& what);
/// The score, which a velocity gives only where x0 is normal whatever x1 it meets: normal and independent.
void check_score(const flow::CouplingOptions& trained, const std::string& what);
/// The solver's of samples: those that draw noise need the score.
void check_solver(const flow::CouplingOptions& trained, const SolverOptions& solver);

}  // namespace pathline::sampler
