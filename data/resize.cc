// SPDX-License-Identifier: Apache-2.0
#include "data/resize.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"

namespace pathline::data {
namespace {

/// What one output pixel takes from a row: weights of pixels first, first + 1, ... They sum to 1.
struct Taps {
  std::int64_t first = 0;
  std::vector<double> weights;
};

Taps area_taps(std::int64_t out, double ratio, std::int64_t in_size) {
  const double begin = static_cast<double>(out) * ratio, end = begin + ratio;
  Taps taps{static_cast<std::int64_t>(begin), {}};
  for (std::int64_t i = taps.first; i < in_size && static_cast<double>(i) < end; ++i) {
    const double covered = std::min<double>(end, static_cast<double>(i + 1)) - std::max(begin, static_cast<double>(i));
    taps.weights.push_back(std::max(covered, 0.0) / ratio);
  }
  return taps;
}

double catmull_rom(double x) {
  x = std::abs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

Taps cubic_taps(std::int64_t out, double ratio, std::int64_t in_size) {
  const double centre = (static_cast<double>(out) + 0.5) * ratio - 0.5;
  const auto left = static_cast<std::int64_t>(std::floor(centre)) - 1;
  const auto inside = [&](std::int64_t i) { return std::clamp<std::int64_t>(i, 0, in_size - 1); };
  Taps taps{inside(left), {}};
  taps.weights.resize(static_cast<std::size_t>(inside(left + 3) - taps.first + 1));
  for (std::int64_t i = left; i < left + 4; ++i) {
    taps.weights[static_cast<std::size_t>(inside(i) - taps.first)] += catmull_rom(centre - static_cast<double>(i));
  }
  return taps;
}

std::vector<Taps> taps_of(std::int64_t in_size, std::int64_t out_size) {
  const double ratio = static_cast<double>(in_size) / static_cast<double>(out_size);
  std::vector<Taps> taps;
  for (std::int64_t out = 0; out < out_size; ++out) {
    taps.push_back(out_size <= in_size ? area_taps(out, ratio, in_size) : cubic_taps(out, ratio, in_size));
  }
  return taps;
}

/// (rows, in, inner) -> (rows, taps.size(), inner)
std::vector<double> along_axis(const std::vector<double>& values, std::int64_t in, std::int64_t inner,
                               const std::vector<Taps>& taps) {
  const auto rows = static_cast<std::int64_t>(values.size()) / (in * inner);
  std::vector<double> out;
  out.reserve(static_cast<std::size_t>(rows * inner) * taps.size());
  for (std::int64_t row = 0; row < rows; ++row) {
    for (const Taps& tap : taps) {
      for (std::int64_t c = 0; c < inner; ++c) {
        const double* from = values.data() + (row * in + tap.first) * inner + c;
        double sum = 0;
        for (const double weight : tap.weights) {
          sum += weight * *from;
          from += inner;
        }
        out.push_back(sum);
      }
    }
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

Image resized(const Image& image, std::int64_t height, std::int64_t width) {
  if (image.height == height && image.width == width) return image;
  std::vector<double> values(image.pixels.begin(), image.pixels.end());
  values = along_axis(values, image.width, image.channels, taps_of(image.width, width));
  values = along_axis(values, image.height, width * image.channels, taps_of(image.height, height));
  Image out(height, width, image.channels);
  std::transform(values.begin(), values.end(), out.pixels.begin(), [](double value) {
    return static_cast<std::uint8_t>(std::clamp(std::floor(value + 0.5), 0.0, 255.0));
  });
  return out;
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

Image to_grey(const Image& image) {
  if (image.channels == 1) return image;
  Image out(image.height, image.width, 1);
  for (std::size_t i = 0; i < out.pixels.size(); ++i) {
    const auto* p = &image.pixels[3 * i];
    out.pixels[i] = static_cast<std::uint8_t>((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 32768u) >> 16);
  }
  return out;
}

Image to_rgb(const Image& image) {
  if (image.channels == 3) return image;
  Image out(image.height, image.width, 3);
  for (std::size_t i = 0; i < out.pixels.size(); ++i) out.pixels[i] = image.pixels[i / 3];
  return out;
}

}  // namespace pathline::data
