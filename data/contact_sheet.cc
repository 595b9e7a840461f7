// SPDX-License-Identifier: Apache-2.0
#include "data/contact_sheet.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/error.h"
#include "data/resize.h"

namespace pathline::data {
namespace {

constexpr std::int64_t kAcross = 8, kMostClasses = 16, kShownPoints = 200000;
constexpr std::uint8_t kGround = 24;

/// Up to eight items a class, class by class; -1 where a class has fewer.
std::vector<std::int64_t> some_of_every_class(const ShardSource& source) {
  const std::int64_t classes = std::min(source.info().classes, kMostClasses);
  std::vector<std::int64_t> items(static_cast<std::size_t>(classes * kAcross), -1);
  std::vector<std::int64_t> found(static_cast<std::size_t>(classes), 0);
  std::int64_t missing = classes * kAcross;
  for (std::int64_t i = 0; i < source.info().count && missing > 0; ++i) {
    const std::int64_t label = source.label(i);
    if (label < 0 || label >= classes || found[static_cast<std::size_t>(label)] == kAcross) continue;
    items[static_cast<std::size_t>(label * kAcross + found[static_cast<std::size_t>(label)]++)] = i;
    --missing;
  }
  return items;
}

std::vector<std::int64_t> spread_evenly(std::int64_t count) {
  const std::int64_t shown = std::min(count, kAcross * kAcross);
  std::vector<std::int64_t> items;
  for (std::int64_t i = 0; i < shown; ++i) items.push_back(i * count / shown);
  return items;
}

Image picture(const ShardSource& source, std::int64_t index) {
  const SetInfo& info = source.info();
  Image image(info.height, info.width, info.channels, kGround);
  if (index >= 0) source.read(index, std::as_writable_bytes(std::span(image.pixels)));
  return image.channels == 1 || image.channels == 3 ? image : Image(info.height, info.width, 1, kGround);
}

/// Black through red and yellow to white, as hot iron.
std::array<std::uint8_t, 3> glow(double value) {
  const auto channel = [&](double begin) {
    return static_cast<std::uint8_t>(std::clamp((value - begin) * 3, 0.0, 1.0) * 255);
  };
  return {channel(0), channel(1.0 / 3), channel(2.0 / 3)};
}

Image density(const ShardSource& source) {
  const SetInfo& info = source.info();
  const std::int64_t side = 384, shown = std::min(info.count, kShownPoints);
  std::vector<float> point(static_cast<std::size_t>(info.channels));
  std::vector<std::array<double, 2>> points;
  double extent = 1e-6;
  for (std::int64_t i = 0; i < shown; ++i) {
    source.read(i * info.count / shown, std::as_writable_bytes(std::span(point)));
    points.push_back({point[0], info.channels > 1 ? point[1] : 0.0});
    for (const double value : points.back()) extent = std::isfinite(value) ? std::max(extent, std::abs(value)) : extent;
  }
  std::vector<double> counts(static_cast<std::size_t>(side * side));
  const auto bin = [&](double value) {
    return std::clamp<std::int64_t>(static_cast<std::int64_t>((value / extent / 1.05 + 1) / 2 * side), 0, side - 1);
  };
  for (const auto& [x, y] : points) {
    if (std::isfinite(x) && std::isfinite(y)) ++counts[static_cast<std::size_t>(bin(-y) * side + bin(x))];
  }
  const double most = *std::max_element(counts.begin(), counts.end());
  Image out(side, side, 3);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const auto colour = glow(std::sqrt(counts[i] / std::max(most, 1.0)));
    std::copy(colour.begin(), colour.end(), out.pixels.begin() + static_cast<std::ptrdiff_t>(3 * i));
  }
  return out;
}

}  // namespace

Image grid_of(std::span<const Image> images, std::int64_t columns, std::int64_t factor, std::int64_t gap) {
  PL_ASSERT(!images.empty() && columns > 0 && factor > 0 && gap >= 0);
  const Image& first = images.front();
  const std::int64_t height = first.height * factor, width = first.width * factor;
  const std::int64_t rows = (static_cast<std::int64_t>(images.size()) + columns - 1) / columns;
  Image out(rows * (height + gap) + gap, columns * (width + gap) + gap, first.channels, kGround);
  for (std::size_t i = 0; i < images.size(); ++i) {
    const Image& image = images[i];
    PL_ASSERT(image.height == first.height && image.width == first.width && image.channels == first.channels);
    const std::int64_t top = gap + static_cast<std::int64_t>(i) / columns * (height + gap);
    const std::int64_t left = gap + static_cast<std::int64_t>(i) % columns * (width + gap);
    for (std::int64_t y = 0; y < height; ++y) {
      for (std::int64_t x = 0; x < width; ++x) {
        for (std::int64_t c = 0; c < first.channels; ++c) {
          out.at(top + y, left + x, c) = image.at(y / factor, x / factor, c);
        }
      }
    }
  }
  return out;
}

Image contact_sheet(const ShardSource& source) {
  const SetInfo& info = source.info();
  PL_CHECK(info.count > 0, core::ExitCode::kInput, "The data set is empty; there is nothing to show.");
  PL_CHECK(info.kind != ItemKind::kLatent, core::ExitCode::kInput, "there is nothing to see of latents (",
           info.description, "). Decode them first, or look at the pictures that they were made of.");
  if (info.kind == ItemKind::kPoint) return density(source);
  const bool labelled = info.classes > 1;
  std::vector<Image> images;
  for (const std::int64_t item : labelled ? some_of_every_class(source) : spread_evenly(info.count)) {
    images.push_back(picture(source, item));
  }
  const std::int64_t factor = std::max<std::int64_t>(1, (64 + info.width - 1) / info.width);
  return grid_of(images, kAcross, factor, 4);
}

}  // namespace pathline::data
