// SPDX-License-Identifier: Apache-2.0
// The data of a run: what is trained on, what is held out, and in which order.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "data/lane_order.h"
#include "data/loader.h"
#include "data/sample_order.h"
#include "data/shard_source.h"
#include "flow/coupling.h"
#include "sampler/start_source.h"
#include "trainer/objective.h"
#include "trainer/options.h"

namespace pathline::trainer {

class Dataset {
 public:
  /// Opens data.path and what data.validation names. Throws ExitCode::kInput or kUsage.
  /// Opens what x0 come from, too.
  Dataset(const DataOptions& options, const flow::CouplingOptions& pairing, std::uint64_t seed);

  const data::SetInfo& info() const { return training_->info(); }
  const data::ShardSource& source() const { return *training_; }
  /// Where several samples are decoded together: decides data.lanes (which it returns) where it is -1, and keeps as
  /// many decoded as a rank with `own_slices` of train.slices needs. Before order(); the same on every rank.
  std::int64_t arrange(const DataOptions& options, const TrainOptions& train, std::int64_t own_slices);
  /// position -> sample of source(), over the training part.
  data::Order order() const;
  /// For LoaderOptions::ahead; empty without lanes.
  data::Order ahead() const;
  /// "", or in how many lanes samples are read and what that costs.
  std::string arrangement() const;
  /// Of x0, by position and by number of held-out samples.
  const sampler::StartSource& starts() const { return starts_; }
  /// Pairs held-out samples with noise as training does, in place of validation_slice()'s own noise each.
  void couple_validation(const flow::CouplingOptions& pairing, bool conditional);
  std::int64_t training_count() const {
    return few_.empty() ? hold_out_.training_count() : static_cast<std::int64_t>(few_.size());
  }
  /// Digest and count, also of what samples start from: another set on resume is noticed.
  std::string fingerprint() const;

  std::int64_t validation_count() const { return validation_count_; }
  /// Held-out samples [first, last), unflipped, with their starts; `positions` are their numbers, which key their noise
  /// and time.
  Slice validation_slice(std::int64_t first, std::int64_t last) const;
  /// What to call held-out sample `i` in messages.
  std::string validation_name(std::int64_t i) const;

 private:
  void fill_start(const data::ShardSource& source, std::int64_t index, std::int64_t i, std::span<float> out) const;

  std::unique_ptr<data::ShardSource> training_;
  std::unique_ptr<data::LaneOrder> lanes_;              // where samples are read in lanes
  std::unique_ptr<data::ShardSource> validation_file_;  // where data.validation is a file
  sampler::StartSource starts_;
  data::HoldOut hold_out_;
  std::vector<std::int64_t> few_;  // with data.overfit all that is trained on
  std::uint64_t seed_;
  std::int64_t validation_count_;
  bool pairs_;  // samples bring their own start
  bool dequantize_;
  std::vector<std::uint64_t> validation_noise_;  // numbers whose noise held-out samples start from; empty: their own
};

/// (n, C, H, W), or (n, D) for points, viewing `values` without a copy.
at::Tensor as_tensor(std::vector<float>& values, std::int64_t n, const data::SetInfo& info);

/// Samples [first, first + count) of a rank's part of a batch, as objectives take them; a view of the batch. Pixels are
/// sent to `device`, which makes numbers of them.
Slice samples_of(data::Batch& batch, const data::SetInfo& info, std::int64_t first, std::int64_t count,
                 at::Device device);

/// The empty prompt of the set, where the slice has prompts.
void set_null_text(Slice& slice, const data::SetInfo& info);

}  // namespace pathline::trainer
