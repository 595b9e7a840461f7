// SPDX-License-Identifier: Apache-2.0
// A picture in memory: 8 bits a channel, rows from top to bottom, channels side by side (HWC).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pathline::data {

struct Image {
  std::int64_t height = 0, width = 0, channels = 0;
  std::vector<std::uint8_t> pixels;  // height * width * channels

  Image() = default;
  /// All pixels `value`.
  Image(std::int64_t height, std::int64_t width, std::int64_t channels, std::uint8_t value = 0)
      : height(height),
        width(width),
        channels(channels),
        pixels(static_cast<std::size_t>(height * width * channels), value) {}

  std::uint8_t& at(std::int64_t y, std::int64_t x, std::int64_t c) {
    return pixels[static_cast<std::size_t>((y * width + x) * channels + c)];
  }
  std::uint8_t at(std::int64_t y, std::int64_t x, std::int64_t c) const {
    return pixels[static_cast<std::size_t>((y * width + x) * channels + c)];
  }
  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(pixels)); }
  bool operator==(const Image&) const = default;
};

}  // namespace pathline::data
