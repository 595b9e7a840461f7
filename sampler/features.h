// SPDX-License-Identifier: Apache-2.0
// What sets are compared by: features of their items, and these beside the samples of a set that is being made.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sampler/moments.h"
#include "sampler/record.h"
#include "sampler/torch_script.h"

namespace pathline::sampler {

/// A TorchScript network's features of pictures, or the pixels themselves.
class Features {
 public:
  /// `network`: its file, or empty; it computes on `device`. Throws ExitCode::kInput where it cannot be loaded.
  explicit Features(const std::string& network, at::Device device = at::kCPU);

  /// (n, D) of pictures, uint8 (n, C, H, W), in [-1, 1] where they are pixels; of points (n, D): themselves. A network
  /// that knows `return_features` is given the bytes, any other fp32 in [-1, 1].
  at::Tensor of(const at::Tensor& items) const;

 private:
  std::optional<TorchScript> network_;
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
