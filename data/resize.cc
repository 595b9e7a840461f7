// SPDX-License-Identifier: Apache-2.0
#include "data/resize.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <vector>

#include "core/error.h"

namespace pathline::data {
namespace {

// Note [Pillow's fixed point]: weights are doubles, normalised, then rounded to 22 bits behind the point (8 bits of a
// pixel and 2 of headroom leave so many of 32); sums of whole numbers are rounded to 8 bits after each pass. Whoever
// resizes so has Pillow's pixels, bit for bit.
constexpr int kWeightBits = 32 - 8 - 2;
constexpr std::int32_t kHalf = 1 << (kWeightBits - 1);

struct Kernel {
  double support;
  double (*weight)(double distance);
};

double box(double x) { return x > -0.5 && x <= 0.5 ? 1 : 0; }

double triangle(double x) { return std::max(1 - std::abs(x), 0.0); }

double keys_cubic(double x) {
  constexpr double kA = -0.5;
  x = std::abs(x);
  if (x < 1) return ((kA + 2) * x - (kA + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * kA : 0;
}

double sinc(double x) {
  if (x == 0) return 1;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double lanczos3(double x) { return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0; }

Kernel kernel_of(Filter filter) {
  switch (filter) {
    case Filter::kBox:
      return {0.5, box};
    case Filter::kBilinear:
      return {1, triangle};
    case Filter::kBicubic:
      return {2, keys_cubic};
    case Filter::kLanczos:
      return {3, lanczos3};
  }
  PL_ASSERT(false);
}

/// What one output pixel takes from a row: weights of pixels first, first + 1, ... They sum to 1, up to their rounding.
struct Taps {
  std::int64_t first = 0;
  std::vector<std::int32_t> weights;
};

std::int32_t fixed(double weight) {
  return static_cast<std::int32_t>((weight < 0 ? -0.5 : 0.5) + weight * (1 << kWeightBits));
}

/// The kernel is stretched over the pixels that become one (which is what avoids aliasing), and cut at the edges.
Taps taps_at(std::int64_t out, double ratio, std::int64_t in_size, const Kernel& kernel) {
  const double stretch = std::max(ratio, 1.0), support = kernel.support * stretch;
  const double centre = (static_cast<double>(out) + 0.5) * ratio;
  Taps taps{std::max<std::int64_t>(static_cast<std::int64_t>(centre - support + 0.5), 0), {}};
  const auto end = std::min(static_cast<std::int64_t>(centre + support + 0.5), in_size);
  std::vector<double> weights;
  for (std::int64_t i = taps.first; i < end; ++i) {
    weights.push_back(kernel.weight((static_cast<double>(i) - centre + 0.5) * (1 / stretch)));
  }
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (const double weight : weights) taps.weights.push_back(fixed(weight / sum));
  return taps;
}

std::vector<Taps> taps_of(std::int64_t in_size, std::int64_t out_size, Filter filter) {
  const double ratio = static_cast<double>(in_size) / static_cast<double>(out_size);
  std::vector<Taps> taps;
  for (std::int64_t out = 0; out < out_size; ++out) taps.push_back(taps_at(out, ratio, in_size, kernel_of(filter)));
  return taps;
}

std::uint8_t to_pixel(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp<std::int32_t>(sum >> kWeightBits, 0, 255));
}

Image with_width(const Image& image, std::int64_t width, Filter filter) {
  const std::vector<Taps> taps = taps_of(image.width, width, filter);
  Image out(image.height, width, image.channels);
  std::uint8_t* to = out.pixels.data();
  for (std::int64_t y = 0; y < image.height; ++y) {
    const std::uint8_t* row = &image.pixels[static_cast<std::size_t>(y * image.width * image.channels)];
    for (const Taps& tap : taps) {
      for (std::int64_t c = 0; c < image.channels; ++c) {
        const std::uint8_t* from = row + tap.first * image.channels + c;
        std::int32_t sum = kHalf;
        for (std::size_t i = 0; i < tap.weights.size(); ++i, from += image.channels) sum += *from * tap.weights[i];
        *to++ = to_pixel(sum);
      }
    }
  }
  return out;
}

Image with_height(const Image& image, std::int64_t height, Filter filter) {
  const auto row_size = static_cast<std::size_t>(image.width * image.channels);
  Image out(height, image.width, image.channels);
  std::vector<std::int32_t> sums(row_size);
  std::uint8_t* to = out.pixels.data();
  for (const Taps& tap : taps_of(image.height, height, filter)) {
    std::fill(sums.begin(), sums.end(), kHalf);
    const std::uint8_t* row = &image.pixels[static_cast<std::size_t>(tap.first) * row_size];
    for (const std::int32_t weight : tap.weights) {
      for (std::size_t i = 0; i < row_size; ++i) sums[i] += row[i] * weight;
      row += row_size;
    }
    to = std::transform(sums.begin(), sums.end(), to, to_pixel);
  }
  return out;
}

Image cropped(const Image& image, std::int64_t top, std::int64_t left, std::int64_t height, std::int64_t width) {
  Image out(height, width, image.channels);
  for (std::int64_t y = 0; y < height; ++y) {
    const auto* from = &image.pixels[static_cast<std::size_t>(((y + top) * image.width + left) * image.channels)];
    std::copy_n(from, width * image.channels, &out.pixels[static_cast<std::size_t>(y * width * image.channels)]);
  }
  return out;
}

}  // namespace

Image centre_square(const Image& image) {
  const std::int64_t side = std::min(image.height, image.width);
  return cropped(image, (image.height - side) / 2, (image.width - side) / 2, side, side);
}

Image resized(const Image& image, std::int64_t height, std::int64_t width, Filter filter) {
  const Image across = image.width == width ? image : with_width(image, width, filter);
  return across.height == height ? across : with_height(across, height, filter);
}

Image padded(const Image& image, std::int64_t size) {
  PL_CHECK(image.height <= size && image.width <= size, core::ExitCode::kUsage, "A picture of ", image.height, " x ",
           image.width, " does not fit into ", size, " x ", size, ". Give --size first, or a larger --pad.");
  Image out(size, size, image.channels);
  const std::int64_t top = (size - image.height) / 2, left = (size - image.width) / 2;
  for (std::int64_t y = 0; y < image.height; ++y) {
    std::copy_n(&image.pixels[static_cast<std::size_t>(y * image.width * image.channels)], image.width * image.channels,
                &out.pixels[static_cast<std::size_t>(((y + top) * size + left) * image.channels)]);
  }
  return out;
}

Image magnified(const Image& image, std::int64_t factor) {
  Image out(image.height * factor, image.width * factor, image.channels);
  for (std::int64_t y = 0; y < out.height; ++y) {
    for (std::int64_t x = 0; x < out.width; ++x) {
      for (std::int64_t c = 0; c < out.channels; ++c) out.at(y, x, c) = image.at(y / factor, x / factor, c);
    }
  }
  return out;
}

namespace {

void check_channels(const Image& image, std::int64_t channels) {
  PL_CHECK(image.channels == channels, core::ExitCode::kUsage, "pictures of ", image.channels,
           " channels cannot be made grey or RGB (only those of 1 or 3). Leave --grey or --rgb out.");
}

}  // namespace

Image to_grey(const Image& image) {
  if (image.channels == 1) return image;
  check_channels(image, 3);
  Image out(image.height, image.width, 1);
  for (std::size_t i = 0; i < out.pixels.size(); ++i) {
    const auto* p = &image.pixels[3 * i];
    out.pixels[i] = static_cast<std::uint8_t>((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 32768u) >> 16);
  }
  return out;
}

Image to_rgb(const Image& image) {
  if (image.channels == 3) return image;
  check_channels(image, 1);
  Image out(image.height, image.width, 3);
  for (std::size_t i = 0; i < out.pixels.size(); ++i) out.pixels[i] = image.pixels[i / 3];
  return out;
}

}  // namespace pathline::data
