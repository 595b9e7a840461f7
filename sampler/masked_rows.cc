// SPDX-License-Identifier: Apache-2.0
#include "sampler/masked_rows.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/crc32c.h"
#include "core/error.h"
#include "core/random.h"
#include "data/loader.h"
#include "flow/mask.h"

namespace pathline::sampler {
namespace {

using core::ExitCode;

std::vector<std::int64_t> with_rows(std::int64_t rows, std::span<const std::int64_t> shape) {
  std::vector<std::int64_t> sizes = {rows};
  sizes.insert(sizes.end(), shape.begin(), shape.end());
  return sizes;
}

std::span<const std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()};
}

/// The set's own masks, 0 and 1, as flow::keyed_masks() has them.
at::Tensor stored_masks(const data::ShardSource& source) {
  const data::SetInfo& info = source.info();
  const bool point = info.kind == data::ItemKind::kPoint;
  at::Tensor masks = point ? at::empty({info.count, info.channels}, at::kFloat)
                           : at::empty({info.count, 1, info.height, info.width}, at::kFloat);
  std::vector<std::byte> mask(static_cast<std::size_t>(masks.numel() / info.count));
  for (std::int64_t row = 0; row < info.count; ++row) {
    source.read_mask(row, mask);
    float* out = masks.mutable_data_ptr<float>() + row * std::ssize(mask);
    std::ranges::transform(mask, out, [](std::byte byte) { return byte == std::byte{0} ? 0.0f : 1.0f; });
  }
  return masks;
}

}  // namespace

MaskedRows::MaskedRows(const std::string& path, const std::string& law, std::span<const std::int64_t> sample_shape) {
  const std::unique_ptr<data::ShardSource> source = data::open_source({path});
  const data::SetInfo& info = source->info();
  const std::vector<std::int64_t> held = info.sample_shape();
  PL_CHECK(std::ranges::equal(held, sample_shape), ExitCode::kUsage, "--mask ", path,
           " holds samples of another shape than the model's (", info.description,
           "; each is filled in where it is not known). Give a set of the same shape.");
  x1_ = at::empty(with_rows(info.count, sample_shape), at::kFloat);
  std::vector<std::byte> item(info.item_bytes());
  for (std::int64_t row = 0; row < info.count; ++row) {
    source->read(row, item);
    data::to_values(info, item, /*mirrored=*/false,
                    {x1_.mutable_data_ptr<float>() + row * x1_.stride(0), info.item_values()});
  }
  if (source->has_masks()) {
    masks_ = stored_masks(*source);
  } else {
    std::vector<std::uint64_t> rows(static_cast<std::size_t>(info.count));
    std::iota(rows.begin(), rows.end(), 0);
    masks_ = flow::keyed_masks(0, core::Purpose::kGenerationMask, rows, flow::MaskLaw::parse(law), sample_shape);
  }
  latents_ = info.latents;
  classes_ = info.classes;
  if (classes_ == 0) return;
  labels_ = at::empty({info.count}, at::kLong);
  for (std::int64_t row = 0; row < info.count; ++row) {
    labels_.mutable_data_ptr<std::int64_t>()[row] = source->label(row);
  }
}

at::Tensor MaskedRows::start(std::int64_t row, const at::Tensor& noise) const {
  return flow::masked_start(x1_[row], noise, masks_[row]);
}

at::Tensor MaskedRows::known(const at::Tensor& rows) const {
  return flow::known_part(x1_.index_select(0, rows), masks_.index_select(0, rows));
}

std::vector<std::byte> MaskedRows::mask(std::int64_t row) const {
  const at::Tensor mask = masks_[row].to(at::kByte).contiguous();
  return {bytes_of(mask).begin(), bytes_of(mask).end()};
}

std::string MaskedRows::identity() const {
  std::uint32_t crc = core::crc32c(bytes_of(masks_), core::crc32c(bytes_of(x1_)));
  if (labels_.defined()) crc = core::crc32c(bytes_of(labels_), crc);
  return core::concat("crc32c ", core::crc32c_digits(crc), " of ", count(), " rows");
}

Field inpaint_field_of(model::VelocityModel& model, std::shared_ptr<const MaskedRows> rows) {
  return [&model, rows = std::move(rows)](const at::Tensor& x, const at::Tensor& t, const at::Tensor& numbers) {
    const at::Device device = model.parameters().front().tensor.device();
    model::Condition condition;
    condition.known = rows->known(numbers).to(device);
    if (model.options().classes > 0) condition.labels = rows->labels().index_select(0, numbers).to(device);
    return model.velocity(x.to(device), t.to(device), condition).to(x.device(), at::kFloat);
  };
}

}  // namespace pathline::sampler
