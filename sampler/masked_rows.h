// SPDX-License-Identifier: Apache-2.0
// Inpainting from the rows of a set (`pathline sample --mask`): sample id fills in row id mod N. The field looks up
// what is known of a sample by the number of its row, which the job gives it in place of a label.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/shard_source.h"
#include "model/velocity_model.h"
#include "sampler/field.h"

namespace pathline::sampler {

class MaskedRows {
 public:
  /// Reads all items and masks of the set at `path` into memory, fp32. A set without /masks has those that `law`
  /// (flow.mask of the model) draws for each row, the same in every job. `sample_shape`: (C, H, W) or (D). Throws
  /// ExitCode::kInput for what cannot be read, kUsage for another shape.
  MaskedRows(const std::string& path, const std::string& law, std::span<const std::int64_t> sample_shape);

  std::int64_t count() const { return x1_.size(0); }
  std::int64_t row_of(std::int64_t id) const { return id % count(); }
  /// What starts where `noise`, of a sample's shape, does, of a row: its known part, and the noise elsewhere.
  at::Tensor start(std::int64_t row, const at::Tensor& noise) const;
  /// (S, C + 1, H, W) or (S, 2 D): flow::known_part() of rows (S) int64.
  at::Tensor known(const at::Tensor& rows) const;
  /// Its mask as a set holds it: 1 where it is known.
  std::vector<std::byte> mask(std::int64_t row) const;
  /// (N) int64; undefined for a set without labels.
  const at::Tensor& labels() const { return labels_; }
  std::int64_t classes() const { return classes_; }
  const data::LatentForm& latents() const { return latents_; }  // of the set
  /// "crc32c XXXXXXXX of N rows": of values and masks.
  std::string identity() const;

 private:
  at::Tensor x1_, masks_;  // (N, C, H, W) and (N, 1, H, W), or both (N, D)
  at::Tensor labels_;
  std::int64_t classes_ = 0;
  data::LatentForm latents_;
};

/// The velocity of an inpainting model for samples of `rows`; labels (S) of the field are numbers of rows, of which a
/// conditional model is given the labels. `model` must outlive it.
Field inpaint_field_of(model::VelocityModel& model, std::shared_ptr<const MaskedRows> rows);

}  // namespace pathline::sampler
