// SPDX-License-Identifier: Apache-2.0
#include "trainer/dataset.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>

#include "core/error.h"

namespace pathline::trainer {
namespace {

/// The share that data.validation gives, or -1 if it names a file.
double share_of(const std::string& validation) {
  char* end = nullptr;
  const double share = std::strtod(validation.c_str(), &end);
  return end != validation.c_str() && *end == '\0' ? share : -1.0;
}

std::int64_t held_out(const DataOptions& options, std::int64_t count) {
  const double share = share_of(options.validation);
  if (share < 0) return 0;
  PL_CHECK(
      share < 1, core::ExitCode::kUsage, "data.validation = ", options.validation,
      " leaves nothing to train on (it is the share of samples that is held out). Use a share like 0.02, or a file.");
  return static_cast<std::int64_t>(std::ceil(share * static_cast<double>(count)));
}

std::unique_ptr<data::ShardSource> open_validation_file(const DataOptions& options, const data::SetInfo& training) {
  if (share_of(options.validation) >= 0) return nullptr;
  auto source = data::open_source({options.validation});
  const data::SetInfo& held = source->info();
  PL_CHECK(held.kind == training.kind && held.height == training.height && held.width == training.width &&
               held.channels == training.channels && held.classes <= training.classes,
           core::ExitCode::kUsage, "data.validation = ", options.validation,
           " holds samples of another shape, or more classes, than data.path (", held.description, "; ",
           training.description, "). Give a file of the same kind.");
  return source;
}

/// The first samples that are not held out.
std::vector<std::int64_t> first_samples(const DataOptions& options, const data::HoldOut& hold_out) {
  PL_CHECK(options.overfit <= hold_out.training_count(), core::ExitCode::kUsage, "data.overfit = ", options.overfit,
           ", but there are only ", hold_out.training_count(), " samples to train on. Ask for fewer.");
  if (options.overfit == 0) return {};
  std::set<std::int64_t> held_out;
  for (std::int64_t i = 0; i < hold_out.held_out_count(); ++i) held_out.insert(hold_out.held_out_sample(i));
  std::vector<std::int64_t> samples;
  for (std::int64_t sample = 0; std::ssize(samples) < options.overfit; ++sample) {
    if (!held_out.contains(sample)) samples.push_back(sample);
  }
  return samples;
}

}  // namespace

Dataset::Dataset(const DataOptions& options, std::uint64_t seed)
    : training_(data::open_source(options.path)),
      validation_file_(open_validation_file(options, training_->info())),
      hold_out_(seed, training_->info().count, held_out(options, training_->info().count)),
      seed_(seed),
      validation_count_(std::min(options.validation_samples,
                                 validation_file_ ? validation_file_->info().count : hold_out_.held_out_count())) {
  few_ = first_samples(options, hold_out_);
  PL_CHECK(hold_out_.training_count() > 0, core::ExitCode::kInput, "the data set holds no sample to train on (",
           info().description, "). Check data.path and data.validation.");
}

data::Order Dataset::order() const {
  return [this, order = data::SampleOrder(seed_, training_count())](std::uint64_t position) {
    const std::int64_t place = order.sample(position);
    return few_.empty() ? hold_out_.training_sample(place) : few_[static_cast<std::size_t>(place)];
  };
}

std::string Dataset::fingerprint() const {
  return core::concat(info().digest.empty() ? "undigested" : info().digest, "/", info().count, "/",
                      info().item_bytes());
}

Slice Dataset::validation_slice(std::int64_t first, std::int64_t last) const {
  const data::ShardSource& source = validation_file_ ? *validation_file_ : *training_;
  Slice slice;
  std::vector<std::int64_t> sizes = sample_shape(info());
  sizes.insert(sizes.begin(), last - first);
  slice.x1 = at::empty(sizes, at::kFloat);
  std::vector<std::byte> item(info().item_bytes());
  float* out = slice.x1.mutable_data_ptr<float>();
  for (std::int64_t i = first; i < last; ++i) {
    const std::int64_t sample = validation_file_ ? i : hold_out_.held_out_sample(i);
    source.read(sample, item);
    data::to_values(info(), item, false, {out, info().item_values()});
    out += info().item_values();
    slice.labels.push_back(source.label(sample));
    slice.positions.push_back(static_cast<std::uint64_t>(i));
  }
  return slice;
}

std::string Dataset::validation_name(std::int64_t i) const {
  return validation_file_ ? validation_file_->name_of(i) : training_->name_of(hold_out_.held_out_sample(i));
}

at::Tensor as_tensor(std::vector<float>& values, std::int64_t n, const data::SetInfo& info) {
  std::vector<std::int64_t> sizes = sample_shape(info);
  sizes.insert(sizes.begin(), n);
  return at::from_blob(values.data(), sizes, at::kFloat);
}

std::vector<std::int64_t> sample_shape(const data::SetInfo& info) {
  if (info.kind == data::ItemKind::kPoint) return {info.channels};
  return {info.channels, info.height, info.width};
}

Slice samples_of(data::Batch& batch, const data::SetInfo& info, std::int64_t first, std::int64_t count) {
  PL_ASSERT(first + count <= std::ssize(batch.samples));
  Slice slice;
  slice.x1 = as_tensor(batch.values, std::ssize(batch.samples), info).narrow(0, first, count);
  slice.labels.assign(batch.labels.begin() + first, batch.labels.begin() + first + count);
  for (std::int64_t i = first; i < first + count; ++i)
    slice.positions.push_back(batch.first + static_cast<std::uint64_t>(i));
  return slice;
}

}  // namespace pathline::trainer
