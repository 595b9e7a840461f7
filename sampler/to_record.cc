// SPDX-License-Identifier: Apache-2.0
#include "sampler/to_record.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "data/png.h"

namespace pathline::sampler {

std::vector<std::uint8_t> to_8_bit(const at::Tensor& value) {
  PL_ASSERT(value.dim() == 3 && value.scalar_type() == at::kFloat);
  const at::Tensor pixels = value.permute({1, 2, 0}).contiguous();  // (H, W, C)
  const float* source = pixels.const_data_ptr<float>();
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(pixels.numel()));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const float level = std::nearbyint((source[i] + 1.0f) * 127.5f);
    bytes[i] = level > 0 ? static_cast<std::uint8_t>(std::min(level, 255.0f)) : 0;
  }
  return bytes;
}

namespace {

void append_bytes(const at::Tensor& values, std::vector<std::byte>& bytes) {
  const at::Tensor packed = values.contiguous();
  const auto* begin = static_cast<const std::byte*>(packed.const_data_ptr());
  bytes.insert(bytes.end(), begin, begin + packed.nbytes());
}

void append_states(const at::Tensor& states, std::vector<std::byte>& bytes) {
  if (states.defined()) append_bytes(states.dim() == 4 ? states.permute({0, 2, 3, 1}) : states, bytes);
}

Record without_item(const Sample& sample) {
  return {sample.id, sample.label, sample.nfe, sample.rejected, sample.status, {}};
}

}  // namespace

Record to_record(const Sample& sample) {
  Record record = without_item(sample);
  if (sample.value.dim() == 3) {
    const std::vector<std::uint8_t> pixels = to_8_bit(sample.value);
    record.item.resize(pixels.size());
    std::memcpy(record.item.data(), pixels.data(), pixels.size());
  } else {
    append_bytes(sample.value, record.item);
  }
  append_states(sample.trajectory, record.item);
  return record;
}

Record to_latent_record(const Sample& sample) {
  PL_ASSERT(sample.value.dim() == 3);
  Record record = without_item(sample);
  append_bytes(sample.value.to(at::kHalf), record.item);
  append_states(sample.trajectory, record.item);
  return record;
}

Record to_encoded_record(const Sample& sample, std::vector<std::byte> item) {
  Record record = without_item(sample);
  record.item = std::move(item);
  append_bytes(sample.value.dim() == 3 ? sample.value.permute({1, 2, 0}) : sample.value, record.item);
  return record;
}

Record as_png(Record&& record, const std::vector<std::int64_t>& sample_shape) {
  PL_ASSERT(sample_shape.size() == 3);
  data::Image image(sample_shape[1], sample_shape[2], sample_shape[0]);
  PL_ASSERT(image.pixels.size() == record.item.size());
  std::memcpy(image.pixels.data(), record.item.data(), record.item.size());
  record.item = data::encode_png(image);
  return std::move(record);
}

}  // namespace pathline::sampler
