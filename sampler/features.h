// SPDX-License-Identifier: Apache-2.0
// What sets are compared by: features of their items, and these beside the samples of a set that is being made.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sampler/moments.h"
#include "sampler/record.h"
#include "sampler/torch_script.h"

namespace pathline::sampler {

struct CheckpointedModel;

/// A network's features of items, or the items themselves.
class Features {
 public:
  /// `network`: a TorchScript file, of pictures; a run (or one step of it) with a classifier of our own, of what that
  /// was trained on; or empty. It computes on `device`. Throws core::Error where it cannot be loaded.
  explicit Features(const std::string& network, at::Device device = at::kCPU);

  /// (n, D) of pictures, uint8 (n, C, H, W), in [-1, 1] where they are pixels, or of points (n, D). A TorchScript
  /// network that knows `return_features` is given the bytes, any other network fp32 in [-1, 1]. Throws
  /// ExitCode::kInput for items of another shape than the classifier's.
  at::Tensor of(const at::Tensor& items) const;

 private:
  at::Tensor of_classifier(const at::Tensor& items) const;

  at::Device device_;
  std::optional<TorchScript> network_;
  std::shared_ptr<const CheckpointedModel> classifier_;
};

/// Mean and covariance of rows in the order of their set: taken in blocks of 64 rows however they come, so that the
/// bits do not depend on that.
class MomentsInOrder {
 public:
  /// rows (n, D), n >= 1.
  void add(const at::Tensor& rows);
  /// Of all rows.
  Moments total() const;

 private:
  Moments moments_;
  std::vector<at::Tensor> waiting_;  // rows of a block that is not full
  std::int64_t rows_ = 0;            // of these
};

/// An item as a record holds it: (1, C, H, W) uint8 of `shape` (C, H, W), or (1, D) fp32 of (D).
at::Tensor item_of(const Record& record, const std::vector<std::int64_t>& shape);

/// Features (1, D) travel behind a record's item, as fp32, until the set is written.
void append_features(Record& record, const at::Tensor& features);
/// Takes the last `count` features off again: (1, count).
at::Tensor take_features(Record& record, std::int64_t count);

}  // namespace pathline::sampler
