// SPDX-License-Identifier: Apache-2.0
#include "sampler/sink.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "core/error.h"
#include "sampler/ordered_sink.h"

namespace pathline::sampler {

void OrderedSink::put(const Sample& sample) {
  PL_ASSERT(sample.id >= next_ && sample.id < options_.first + options_.count);
  const bool inserted = early_.emplace(sample.id, sample).second;
  PL_ASSERT(inserted);
  for (auto it = early_.begin(); it != early_.end() && it->first == next_; it = early_.erase(it)) {
    append(it->second);
    ++next_;
  }
}

void OrderedSink::finish() {
  PL_CHECK(next_ == options_.first + options_.count, core::ExitCode::kInput, "sample ", next_, " of ", options_.path,
           " was never made (the file would have a gap and is not written). Make the whole range again.");
  commit();
}

std::unique_ptr<Sink> make_sink(const SinkOptions& options) {
  PL_CHECK(options.count > 0, core::ExitCode::kUsage, "a set of ", options.count,
           " samples was asked for. It must have at least 1.");
  const std::string ending = std::filesystem::path(options.path).extension().string();
  if (ending == ".png") return make_png_sink(options);
  if (ending == ".npz") return make_npz_sink(options);
  if (ending == ".h5") return make_h5_sink(options);
  throw core::Error(core::ExitCode::kUsage,
                    core::concat("no format is known by the ending of ", options.path,
                                 ". Use .png (one picture), .npz or .h5 (sets of samples)."));
}

std::int64_t columns_for(std::int64_t count, std::int64_t labels) {
  constexpr std::int64_t kWidest = 32;
  return labels > 1 && labels <= kWidest && count % labels == 0 ? labels : 0;
}

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

}  // namespace pathline::sampler
