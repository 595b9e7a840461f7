// SPDX-License-Identifier: Apache-2.0
#include "flow/mask.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/text.h"
#include "flow/transfer.h"

namespace pathline::flow {
namespace {

constexpr std::string_view kPixelsWord = "pixels:";

struct Span {
  std::int64_t first = 0, last = 0;
  bool holds(std::int64_t i) const { return first <= i && i < last; }
};

/// Of `edge` places: a quarter to three quarters, at least one, anywhere.
Span box_edge(std::int64_t edge, float size_draw, float place_draw) {
  const std::int64_t least = std::max<std::int64_t>(1, edge / 4), most = std::max(least, 3 * edge / 4);
  const auto size = least + static_cast<std::int64_t>(size_draw * static_cast<float>(most - least + 1));
  const auto first = static_cast<std::int64_t>(place_draw * static_cast<float>(edge - size + 1));
  return {first, first + size};
}

/// The known half, as spans of rows and columns; 0, 1: left, right; 2, 3: upper, lower.
std::pair<Span, Span> half(std::int64_t height, std::int64_t width, const core::Draws& draws) {
  const std::uint32_t side = draws.bits(0) % (height > 1 ? 4 : 2);
  const auto cut = [&](std::int64_t edge) { return side % 2 == 0 ? Span{0, edge / 2} : Span{edge / 2, edge}; };
  if (side < 2) return {{0, height}, cut(width)};
  return {cut(height), {0, width}};
}

}  // namespace

MaskLaw MaskLaw::parse(const std::string& text) {
  MaskLaw law;
  if (text == "none") return law;
  if (text == "half") law.kind_ = Kind::kHalf;
  if (text == "box") law.kind_ = Kind::kBox;
  if (text.starts_with(kPixelsWord)) {
    law.kind_ = Kind::kPixels;
    law.known_ = core::parse_number(text.substr(kPixelsWord.size()), "P in flow.mask");
    PL_CHECK(law.known_ >= 0 && law.known_ < 1, core::ExitCode::kUsage, "flow.mask = \"", text,
             "\" shows pixels with probability ", law.known_,
             " (from 0 to less than 1: something must be left to fill in). Use for example \"pixels:0.5\".");
  }
  PL_CHECK(!law.none(), core::ExitCode::kUsage, "flow.mask = \"", text,
           "\" is no law of what is known of a sample. Use \"none\", \"half\", \"box\" or \"pixels:P\".");
  return law;
}

void MaskLaw::draw(const core::Draws& draws, std::int64_t height, std::int64_t width, std::span<float> out) const {
  PL_ASSERT(std::ssize(out) == height * width);
  if (kind_ == Kind::kPixels) {
    draws.fill_uniform(out);
    for (float& value : out) value = value < known_ ? 1.0f : 0.0f;
    return;
  }
  PL_ASSERT(kind_ != Kind::kNone);
  const bool box = kind_ == Kind::kBox;
  const auto [rows, columns] = box ? std::pair(box_edge(height, draws.uniform(0), draws.uniform(1)),
                                               box_edge(width, draws.uniform(2), draws.uniform(3)))
                                   : half(height, width, draws);
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      const bool inside = rows.holds(y) && columns.holds(x);
      out[static_cast<std::size_t>(y * width + x)] = inside != box ? 1.0f : 0.0f;
    }
  }
}

at::Tensor keyed_masks(std::uint64_t seed, core::Purpose purpose, std::span<const std::uint64_t> positions,
                       const MaskLaw& law, at::IntArrayRef shape, at::Device device) {
  const bool image = shape.size() == 3;
  const std::int64_t height = image ? shape[1] : 1, width = image ? shape[2] : shape[0];
  std::vector<std::int64_t> sizes = {static_cast<std::int64_t>(positions.size()), width};
  if (image) sizes = {sizes[0], 1, height, width};
  at::Tensor masks = at::empty(sizes, at::kFloat);
  const auto size = static_cast<std::size_t>(height * width);
  for (std::size_t n = 0; n < positions.size(); ++n) {
    law.draw(core::Draws(seed, positions[n], purpose), height, width,
             {masks.mutable_data_ptr<float>() + n * size, size});
  }
  return sent_to(masks, device);
}

at::Tensor known_part(const at::Tensor& x1, const at::Tensor& masks) {
  return at::cat({at::where(masks > 0, x1, at::zeros_like(x1)), masks}, 1);
}

at::Tensor masked_start(const at::Tensor& x1, const at::Tensor& x0, const at::Tensor& masks) {
  return at::where(masks > 0, x1, x0);
}

at::Tensor unknown_weight(const at::Tensor& masks) {
  const at::Tensor flat = masks.flatten(1), unknown = static_cast<double>(flat.size(1)) - flat.sum(1);
  return at::where(unknown > 0, static_cast<double>(flat.size(1)) / unknown, at::zeros_like(unknown));
}

}  // namespace pathline::flow
