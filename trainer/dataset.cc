// SPDX-License-Identifier: Apache-2.0
#include "trainer/dataset.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>

#include "core/error.h"
#include "core/random.h"
#include "data/decoded_chunks.h"
#include "data/pixels.h"
#include "data/text_columns.h"
#include "flow/pixels.h"
#include "flow/transfer.h"

namespace pathline::trainer {
namespace {

std::int64_t held_out(const DataOptions& options, std::int64_t count) {
  const double share = options.held_out_share();
  if (share < 0) return 0;
  PL_CHECK(
      share < 1, core::ExitCode::kUsage, "data.validation = ", options.validation,
      " leaves nothing to train on (it is the share of samples that is held out). Use a share like 0.02, or a file.");
  return static_cast<std::int64_t>(std::ceil(share * static_cast<double>(count)));
}

std::unique_ptr<data::ShardSource> open_validation_file(const DataOptions& options, const data::SetInfo& training) {
  if (options.held_out_share() >= 0) return nullptr;
  auto source = data::open_source({options.validation});
  const data::SetInfo& held = source->info();
  PL_CHECK(held.kind == training.kind && held.height == training.height && held.width == training.width &&
               held.channels == training.channels && held.classes <= training.classes && held.text == training.text &&
               held.latents.shift == training.latents.shift && held.latents.scale == training.latents.scale,
           core::ExitCode::kUsage, "data.validation = ", options.validation,
           " holds samples of another shape or normalisation, of other prompts, or more classes, than data.path (",
           held.description, "; ", training.description, "). Give a file of the same kind.");
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

Dataset::Dataset(const DataOptions& options, const flow::CouplingOptions& pairing, std::uint64_t seed)
    : training_(data::open_source(options.path)),
      validation_file_(open_validation_file(options, training_->info())),
      starts_(pairing.source, training_->info().sample_shape()),
      hold_out_(seed, training_->info().count, held_out(options, training_->info().count)),
      seed_(seed),
      validation_count_(std::min(options.validation_samples,
                                 validation_file_ ? validation_file_->info().count : hold_out_.held_out_count())),
      pairs_(flow::Coupling::parse(pairing.coupling).kind == flow::Coupling::Kind::kPairs),
      dequantize_(options.dequantize == "uniform") {
  for (const auto* source : {training_.get(), validation_file_.get()}) {
    PL_CHECK(
        !pairs_ || source == nullptr || source->has_starts(), core::ExitCode::kInput,
        "flow.coupling = \"pairs\", but the data set holds no /x0 beside its samples (", source->info().description,
        "; every sample starts from its own). Make a set with `pathline sample --pairs`, or choose another coupling.");
  }
  few_ = first_samples(options, hold_out_);
  PL_CHECK(hold_out_.training_count() > 0, core::ExitCode::kInput, "the data set holds no sample to train on (",
           info().description, "). Check data.path and data.validation.");
}

std::int64_t Dataset::arrange(const DataOptions& options, const TrainOptions& train, std::int64_t own_slices) {
  data::Groups groups{training_->decoded_together(), info().count, 0};
  for (std::size_t g = 0; g < groups.firsts.size(); ++g) {
    const std::int64_t end = g + 1 < groups.firsts.size() ? groups.firsts[g + 1] : groups.count;
    groups.most = std::max(groups.most, end - groups.firsts[g]);
  }
  const std::size_t sample = info().item_bytes();
  const auto budget = static_cast<std::size_t>(options.decoded_mb * (1 << 20));
  std::int64_t lanes = options.lanes;
  if (lanes < 0) lanes = few_.empty() ? data::plan_lanes(groups, sample, train.slices, budget) : 0;
  PL_CHECK(lanes == 0 || !groups.firsts.empty(), core::ExitCode::kUsage, "data.lanes = ", lanes,
           ", but no samples of the data set are decoded together (", info().description, "). Leave the key away.");
  if (groups.firsts.empty()) return 0;
  // Without lanes whatever fits stays decoded; with them what all lanes of the rank can have open.
  const std::size_t needed =
      lanes == 0 ? budget : data::lane_bytes(groups, sample) * static_cast<std::size_t>(lanes * own_slices);
  training_->decode_into(std::make_shared<data::DecodedChunks>(needed));
  if (lanes > 0) {
    lanes_ = std::make_unique<data::LaneOrder>(seed_, std::move(groups), hold_out_, train.batch, train.slices, lanes);
  }
  return lanes;
}

std::string Dataset::arrangement() const {
  if (!lanes_) return "";
  return core::concat("; read in ", lanes_->lanes(), " lanes, every chunk decoded at most ", lanes_->amplification(),
                      " times an epoch");
}

data::Order Dataset::ahead() const {
  if (!lanes_) return {};
  return [lanes = lanes_.get()](std::uint64_t first, std::span<std::int64_t> samples) { lanes->ahead(first, samples); };
}

data::Order Dataset::order() const {
  if (lanes_) {
    return [lanes = lanes_.get()](std::uint64_t first, std::span<std::int64_t> samples) {
      lanes->samples(first, samples);
    };
  }
  return
      [this, order = data::SampleOrder(seed_, training_count())](std::uint64_t first, std::span<std::int64_t> samples) {
        order.samples(first, samples);
        if (few_.empty()) return hold_out_.training_samples(samples);
        for (std::int64_t& sample : samples) sample = few_[static_cast<std::size_t>(sample)];
      };
}

std::string Dataset::fingerprint() const {
  return core::concat(info().digest.empty() ? "undigested" : info().digest, "/", info().count, "/", info().item_bytes(),
                      info().null_text ? ", " + data::described(info().text) : "",
                      starts_.gaussian() ? "" : "/" + starts_.identity());
}

Slice Dataset::validation_slice(std::int64_t first, std::int64_t last) const {
  const data::ShardSource& source = validation_file_ ? *validation_file_ : *training_;
  Slice slice;
  std::vector<std::int64_t> sizes = info().sample_shape();
  sizes.insert(sizes.begin(), last - first);
  slice.x1 = at::empty(sizes, at::kFloat);
  std::vector<std::byte> item(source.info().item_bytes());
  float* out = slice.x1.mutable_data_ptr<float>();
  const auto text_values = static_cast<std::int64_t>(info().text.values());
  if (pairs_ || !starts_.gaussian()) slice.x0 = at::empty(sizes, at::kFloat);
  float* start = slice.x0.defined() ? slice.x0.mutable_data_ptr<float>() : out;
  for (std::int64_t i = first; i < last; ++i) {
    const std::int64_t sample = validation_file_ ? i : hold_out_.held_out_sample(i);
    source.read(sample, item);
    const core::Draws draw(seed_, static_cast<std::uint64_t>(i), core::Purpose::kValidationLatent);
    data::to_values(source.info(), item, false, {out, info().item_values()}, &draw);
    if (dequantize_) {
      data::dequantize({seed_, static_cast<std::uint64_t>(i), core::Purpose::kValidationDequantize},
                       {out, info().item_values()});
    }
    out += info().item_values();
    if (slice.x0.defined()) fill_start(source, sample, i, {start, info().item_values()});
    start += info().item_values();
    if (!validation_noise_.empty()) slice.noise.push_back(validation_noise_[static_cast<std::size_t>(i)]);
    slice.labels.push_back(source.label(sample));
    slice.positions.push_back(static_cast<std::uint64_t>(i));
    if (source.info().null_text) {
      if (!slice.texts.defined()) slice.texts = at::empty({last - first, text_values}, at::kFloat);
      source.read_text(sample,
                       {slice.texts.mutable_data_ptr<float>() + (i - first) * text_values, info().text.values()});
    }
  }
  set_null_text(slice, source.info());
  return slice;
}

/// Of held-out sample `i`, which is sample `index` of `source`.
void Dataset::fill_start(const data::ShardSource& source, std::int64_t index, std::int64_t i,
                         std::span<float> out) const {
  if (pairs_) {
    std::vector<float> stored(out.size());
    source.read_start(index, stored);
    return data::start_to_values(info(), stored, /*mirrored=*/false, out);
  }
  const auto number = static_cast<std::uint64_t>(i);
  const std::uint64_t noise = validation_noise_.empty() ? number : validation_noise_[static_cast<std::size_t>(i)];
  starts_.fill(sampler::StartSource::Use::kValidation, seed_, noise, out);
}

void Dataset::couple_validation(const flow::CouplingOptions& pairing, bool conditional) {
  const flow::Coupling coupling = flow::Coupling::of(pairing, conditional);
  if (!coupling.permutes() || validation_count_ == 0) return;
  const Slice all = validation_slice(0, validation_count_);
  const std::size_t size = info().item_values();
  std::vector<float> noise(all.positions.size() * size);
  for (const std::uint64_t number : all.positions) {
    starts_.fill(sampler::StartSource::Use::kValidation, seed_, number, std::span(noise).subspan(number * size, size));
  }
  const std::span x1(all.x1.const_data_ptr<float>(), noise.size());
  for (const std::int64_t number :
       flow::coupled_batch(coupling, pairing.coupling_block, x1, noise, size, all.labels, seed_, all.positions)) {
    validation_noise_.push_back(static_cast<std::uint64_t>(number));
  }
}

std::string Dataset::validation_name(std::int64_t i) const {
  return validation_file_ ? validation_file_->name_of(i) : training_->name_of(hold_out_.held_out_sample(i));
}

at::Tensor as_tensor(std::vector<float>& values, std::int64_t n, const data::SetInfo& info) {
  std::vector<std::int64_t> sizes = info.sample_shape();
  sizes.insert(sizes.begin(), n);
  return at::from_blob(values.data(), sizes, at::kFloat);
}

void set_null_text(Slice& slice, const data::SetInfo& info) {
  if (!slice.texts.defined()) return;
  slice.null_text = at::empty({std::ssize(*info.null_text)}, at::kFloat);
  std::ranges::copy(*info.null_text, slice.null_text.mutable_data_ptr<float>());
}

namespace {

at::Tensor values_of(data::Batch& batch, const data::SetInfo& info, std::int64_t first, std::int64_t count,
                     at::Device device) {
  if (batch.pixels.empty()) return as_tensor(batch.values, std::ssize(batch.samples), info).narrow(0, first, count);
  std::byte* pixels = batch.pixels.data() + static_cast<std::size_t>(first) * info.item_bytes();
  const at::Tensor images = at::from_blob(pixels, {count, info.height, info.width, info.channels}, at::kByte);
  const at::Tensor mirrored = at::from_blob(batch.mirrored.data() + first, {count}, at::kByte);
  return flow::values_of_pixels(flow::sent_to(images, device), flow::sent_to(mirrored, device));
}

}  // namespace

Slice samples_of(data::Batch& batch, const data::SetInfo& info, std::int64_t first, std::int64_t count,
                 at::Device device) {
  PL_ASSERT(first + count <= std::ssize(batch.samples));
  Slice slice;
  slice.x1 = values_of(batch, info, first, count, device);
  slice.labels.assign(batch.labels.begin() + first, batch.labels.begin() + first + count);
  if (!batch.starts.empty())
    slice.x0 = as_tensor(batch.starts, std::ssize(batch.samples), info).narrow(0, first, count);
  if (!batch.noise.empty()) slice.noise.assign(batch.noise.begin() + first, batch.noise.begin() + first + count);
  if (!batch.texts.empty()) {
    const auto values = static_cast<std::int64_t>(info.text.values());
    slice.texts =
        at::from_blob(batch.texts.data() + first * values, {count, values}, at::TensorOptions().dtype(at::kFloat));
    set_null_text(slice, info);
  }
  for (std::int64_t i = first; i < first + count; ++i)
    slice.positions.push_back(batch.first + static_cast<std::uint64_t>(i));
  return slice;
}

}  // namespace pathline::trainer
