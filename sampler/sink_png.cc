// SPDX-License-Identifier: Apache-2.0
// One picture to look at: images in a grid, or points of a plane as dots.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "core/file_system.h"
#include "data/png.h"
#include "sampler/ordered_sink.h"

namespace pathline::sampler {
namespace {

constexpr std::int64_t kGap = 2;            // pixels between tiles
constexpr std::int64_t kSmallestTile = 64;  // smaller images are enlarged by a whole factor
constexpr std::int64_t kMostPixels = std::int64_t{1} << 28;

void write_picture(const std::string& path, const data::Image& picture) {
  const std::vector<std::byte> file = data::encode_png(picture);
  core::PosixFileSystem files;
  core::replace_file(files, path, {reinterpret_cast<const char*>(file.data()), file.size()});
}

class GridSink final : public OrderedSink {
 public:
  explicit GridSink(const SinkOptions& options)
      : OrderedSink(options),
        channels_(options.sample_shape[0]),
        height_(options.sample_shape[1]),
        width_(options.sample_shape[2]) {
    PL_CHECK(channels_ == 1 || channels_ == 3, core::ExitCode::kUsage, "samples of ", channels_,
             " channels are no picture for ", options.path, ". Write them to .h5 or .npz.");
    factor_ = (kSmallestTile + std::max(height_, width_) - 1) / std::max(height_, width_);
    columns_ = options.columns > 0
                   ? options.columns
                   : static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(options.count))));
    const std::int64_t rows = (options.count + columns_ - 1) / columns_;
    const std::int64_t high = rows * (height_ * factor_ + kGap) - kGap;
    const std::int64_t wide = columns_ * (width_ * factor_ + kGap) - kGap;
    PL_CHECK(high <= kMostPixels / wide, core::ExitCode::kUsage, options.count, " samples make a picture of ", wide,
             " x ", high, " pixels, too large for ", options.path, ". Ask for fewer, or write to .h5 or .npz.");
    grid_ = data::Image(high, wide, channels_, 255);
  }

 private:
  void append(const Record& record) override {
    const std::int64_t place = record.id - options().first;
    const std::int64_t top = place / columns_ * (height_ * factor_ + kGap);
    const std::int64_t left = place % columns_ * (width_ * factor_ + kGap);
    for (std::int64_t y = 0; y < height_ * factor_; ++y) {
      for (std::int64_t x = 0; x < width_ * factor_; ++x) {
        const std::int64_t source = (y / factor_ * width_ + x / factor_) * channels_;
        for (std::int64_t c = 0; c < channels_; ++c) {
          grid_.at(top + y, left + x, c) =
              std::to_integer<std::uint8_t>(record.item[static_cast<std::size_t>(source + c)]);
        }
      }
    }
  }

  void commit() override { write_picture(options().path, grid_); }

  const std::int64_t channels_, height_, width_;
  std::int64_t factor_ = 1, columns_ = 1;
  data::Image grid_;
};

/// Points of the plane on a square that holds them all, origin in the middle; each dot is blended over those before it,
/// in its label's colour.
class ScatterSink final : public OrderedSink {
 public:
  explicit ScatterSink(const SinkOptions& options) : OrderedSink(options) {
    PL_CHECK(options.sample_shape[0] == 2, core::ExitCode::kUsage, "points of ", options.sample_shape[0],
             " dimensions are no picture for ", options.path, ". Write them to .h5 or .npz.");
  }

 private:
  struct Dot {
    float x, y;
    std::int64_t label;
  };

  void append(const Record& record) override {
    std::array<float, 2> point;
    std::memcpy(point.data(), record.item.data(), sizeof point);
    if (record.status == SampleStatus::kDone) dots_.push_back({point[0], point[1], record.label});
  }

  void commit() override {
    float reach = 1e-3f;
    for (const Dot& dot : dots_) reach = std::max({reach, std::abs(dot.x), std::abs(dot.y)});
    data::Image picture(kSide, kSide, 3, 255);
    const float scale = static_cast<float>(kSide / 2 - kMargin) / reach;
    for (const Dot& dot : dots_) draw(picture, dot, scale);
    write_picture(options().path, picture);
  }

  static void draw(data::Image& picture, const Dot& dot, float scale) {
    // the first colours of Matplotlib's tab10, which readers can tell apart
    static constexpr std::array<std::array<int, 3>, 6> kColours = {
        {{31, 119, 180}, {255, 127, 14}, {44, 160, 44}, {214, 39, 40}, {148, 103, 189}, {140, 86, 75}}};
    const auto& colour = kColours[static_cast<std::size_t>(std::max<std::int64_t>(dot.label, 0)) % kColours.size()];
    const std::int64_t middle_x = kSide / 2 + std::lround(dot.x * scale);
    const std::int64_t middle_y = kSide / 2 - std::lround(dot.y * scale);
    for (std::int64_t y = middle_y - 1; y <= middle_y + 1; ++y) {
      for (std::int64_t x = middle_x - 1; x <= middle_x + 1; ++x) {
        for (std::int64_t c = 0; c < 3; ++c) {
          std::uint8_t& pixel = picture.at(y, x, c);
          pixel = static_cast<std::uint8_t>((pixel + colour[static_cast<std::size_t>(c)]) / 2);
        }
      }
    }
  }

  static constexpr std::int64_t kSide = 640, kMargin = 12;
  std::vector<Dot> dots_;
};

}  // namespace

std::unique_ptr<Sink> make_png_sink(const SinkOptions& options) {
  if (options.sample_shape.size() == 1) return std::make_unique<ScatterSink>(options);
  return std::make_unique<GridSink>(options);
}

}  // namespace pathline::sampler
