// SPDX-License-Identifier: Apache-2.0
// Batches whose samples know what they start from: noise and samples of the whole global batch are paired beside the
// network, one batch ahead. See Note [Where the coupling is solved] in global_coupling.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "cluster/communicator.h"
#include "core/task_thread.h"
#include "data/loader.h"
#include "flow/coupling.h"
#include "trainer/dataset.h"
#include "trainer/options.h"

namespace pathline::trainer {

class GlobalCoupling {
 public:
  /// `data` must outlive it; `own` is this rank's part of every global batch of recipe.train. `conditional`: the model
  /// sees labels. Collective.
  GlobalCoupling(const Recipe& recipe, bool conditional, const Dataset& data, const data::LoaderOptions& own,
                 cluster::Communicator& ranks);
  /// Waits for the batch that is being prepared: all ranks that asked for as many batches end together.
  ~GlobalCoupling();

  /// This rank's part of the next global batch, with data::Batch::noise or ::starts where samples do not start from
  /// their own noise. All ranks, equally often; throws on all ranks together where they exchange anything. The same
  /// bits on any number of ranks.
  data::Batch next();
  /// As Loader::give_back().
  void give_back(data::Batch batch) { loader_.give_back(std::move(batch)); }

 private:
  std::size_t blocks() const { return bounds_.size() - 1; }
  std::size_t block_size(std::size_t b) const { return bounds_[b + 1] - bounds_[b]; }
  std::size_t costs_of(std::size_t r, std::size_t b) const;
  void prepare();
  void fill_starts(data::Batch& batch) const;
  std::vector<std::vector<float>> own_costs(const data::Batch& batch) const;
  std::vector<std::vector<float>> exchanged(const std::vector<std::vector<float>>& costs);
  std::vector<std::int64_t> all_labels(const data::Batch& batch);
  std::vector<std::int64_t> permutation(const data::Batch& batch, const std::vector<std::vector<float>>& costs);

  flow::Coupling coupling_;
  const Dataset& data_;
  data::LoaderOptions own_;
  std::vector<std::size_t> firsts_;  // (ranks + 1) where the ranks' parts begin
  std::vector<std::size_t> bounds_;  // (blocks + 1) where the blocks begin
  bool passes_through_;              // samples start from their own normal noise, or from their own /x0
  std::unique_ptr<cluster::Communicator> ranks_;
  data::Loader loader_;
  std::optional<data::Batch> ready_;
  std::uint64_t asked_ = 0;  // tasks of the thread
  core::TaskThread thread_;  // the last: it uses all the others
};

}  // namespace pathline::trainer
