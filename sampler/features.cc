// SPDX-License-Identifier: Apache-2.0
#include "sampler/features.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "model/classifier.h"
#include "sampler/checkpointed_model.h"

namespace pathline::sampler {
namespace {

constexpr std::int64_t kBlock = 64;

}  // namespace

Features::Features(const std::string& network, at::Device device) : device_(device) {
  core::PosixFileSystem files;
  if (network.empty()) return;
  if (!files.is_directory(network)) {
    network_.emplace(network, device);
    return;
  }
  auto loaded = load_checkpointed_model(files, network, "");
  model::as_classifier(*loaded.model, "--features " + network);
  move_to(*loaded.model, device);
  classifier_ = std::make_shared<const CheckpointedModel>(std::move(loaded));
}

/// At t = 1: the items are data.
at::Tensor Features::of_classifier(const at::Tensor& items) const {
  const at::NoGradGuard no_grad;
  const auto shape = sample_shape_of(classifier_->model->options());
  PL_CHECK(items.sizes().slice(1) == at::IntArrayRef(shape), core::ExitCode::kInput, "samples of shape ",
           items.sizes().slice(1), " have no features by the classifier ", classifier_->directory, ", which knows ",
           at::IntArrayRef(shape), ". Use a classifier of such samples.");
  const at::Tensor x = items.dim() == 2 ? items : items.to(at::kFloat) / 127.5 - 1.0;
  auto& network = model::as_classifier(*classifier_->model, "--features");
  return network.features(x.to(device_, at::kFloat), at::ones({x.size(0)}, device_)).to(at::kCPU);
}

at::Tensor Features::of(const at::Tensor& items) const {
  if (classifier_) return of_classifier(items);
  if (items.dim() == 2) return items;
  if (network_ && network_->knows_return_features()) return network_->forward(items, true).flatten(1);
  const at::Tensor pixels = items.to(at::kFloat) / 127.5 - 1.0;
  return (network_ ? network_->forward(pixels) : pixels).flatten(1);
}

void MomentsInOrder::add(const at::Tensor& rows) {
  for (std::int64_t begin = 0; begin < rows.size(0);) {
    const std::int64_t end = std::min(rows.size(0), begin + kBlock - rows_);
    waiting_.push_back(rows.slice(0, begin, end).to(at::kDouble));
    rows_ += end - begin;
    begin = end;
    if (rows_ < kBlock) continue;
    moments_.add(at::cat(waiting_));
    waiting_.clear();
    rows_ = 0;
  }
}

Moments MomentsInOrder::total() const {
  Moments all = moments_;
  if (rows_ > 0) all.add(at::cat(waiting_));
  return all;
}

at::Tensor item_of(const Record& record, const std::vector<std::int64_t>& shape) {
  const bool points = shape.size() == 1;
  at::Tensor item =
      points ? at::empty({1, shape[0]}, at::kFloat) : at::empty({1, shape[1], shape[2], shape[0]}, at::kByte);
  PL_ASSERT(record.item.size() >= item.nbytes());  // a trajectory may follow
  std::memcpy(item.mutable_data_ptr(), record.item.data(), item.nbytes());
  return points ? item : item.permute({0, 3, 1, 2}).contiguous();
}

void append_features(Record& record, const at::Tensor& features) {
  const at::Tensor values = features.to(at::kFloat).contiguous();
  const auto* bytes = reinterpret_cast<const std::byte*>(values.const_data_ptr<float>());
  record.item.insert(record.item.end(), bytes, bytes + values.nbytes());
}

at::Tensor take_features(Record& record, std::int64_t count) {
  at::Tensor features = at::empty({1, count}, at::kFloat);
  PL_ASSERT(record.item.size() >= features.nbytes());
  const std::size_t begin = record.item.size() - features.nbytes();
  std::memcpy(features.mutable_data_ptr<float>(), record.item.data() + begin, features.nbytes());
  record.item.resize(begin);
  return features;
}

}  // namespace pathline::sampler
