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
/// in its label's colour. Where trajectories were asked for, those of the first samples lie below as thin lines.
class ScatterSink final : public OrderedSink {
 public:
  explicit ScatterSink(const SinkOptions& options) : OrderedSink(options) {
    PL_CHECK(options.sample_shape[0] == 2, core::ExitCode::kUsage, "points of ", options.sample_shape[0],
             " dimensions are no picture for ", options.path, ". Write them to .h5 or .npz.");
  }

 private:
  struct Point {
    float x = 0, y = 0;
  };
  struct Dot {
    Point place;
    std::int64_t label = -1;
    std::vector<Point> way;
  };

  void append(const Record& record) override {
    if (record.status != SampleStatus::kDone) return;
    Dot dot{{}, record.label, {}};
    std::memcpy(&dot.place, record.item.data(), sizeof dot.place);
    if (dots_.size() < kMostWays && record.item.size() > sizeof(Point)) {
      dot.way.resize(record.item.size() / sizeof(Point) - 1);
      std::memcpy(dot.way.data(), record.item.data() + sizeof(Point), dot.way.size() * sizeof(Point));
    }
    dots_.push_back(std::move(dot));
  }

  void commit() override {
    float reach = 1e-3f;
    const auto hold = [&](const Point& point) { reach = std::max({reach, std::abs(point.x), std::abs(point.y)}); };
    for (const Dot& dot : dots_) {
      hold(dot.place);
      for (const Point& point : dot.way) hold(point);
    }
    data::Image picture(kSide, kSide, 3, 255);
    const float scale = static_cast<float>(kSide / 2 - kMargin) / reach;
    for (const Dot& dot : dots_) draw_way(picture, dot, scale);
    for (const Dot& dot : dots_) draw_place(picture, dot, scale);
    write_picture(options().path, picture);
  }

  /// `share` of the label's colour over what is there.
  static void blend(data::Image& picture, Point at, std::int64_t label, int share_of_8) {
    // the first colours of Matplotlib's tab10, which readers can tell apart
    static constexpr std::array<std::array<int, 3>, 6> kColours = {
        {{31, 119, 180}, {255, 127, 14}, {44, 160, 44}, {214, 39, 40}, {148, 103, 189}, {140, 86, 75}}};
    const auto& colour = kColours[static_cast<std::size_t>(std::max<std::int64_t>(label, 0)) % kColours.size()];
    for (std::size_t c = 0; c < 3; ++c) {
      std::uint8_t& pixel = picture.at(std::lround(at.y), std::lround(at.x), static_cast<std::int64_t>(c));
      pixel = static_cast<std::uint8_t>((pixel * (8 - share_of_8) + colour[c] * share_of_8) / 8);
    }
  }

  static Point on_picture(Point point, float scale) {
    return {static_cast<float>(kSide / 2) + point.x * scale, static_cast<float>(kSide / 2) - point.y * scale};
  }

  static void draw_place(data::Image& picture, const Dot& dot, float scale) {
    const Point middle = on_picture(dot.place, scale);
    for (const float y : {-1.0f, 0.0f, 1.0f}) {
      for (const float x : {-1.0f, 0.0f, 1.0f}) blend(picture, {middle.x + x, middle.y + y}, dot.label, 4);
    }
  }

  static void draw_way(data::Image& picture, const Dot& dot, float scale) {
    for (std::size_t i = 1; i < dot.way.size(); ++i) {
      const Point from = on_picture(dot.way[i - 1], scale), to = on_picture(dot.way[i], scale);
      const float steps = std::ceil(std::max(std::abs(to.x - from.x), std::abs(to.y - from.y)));
      for (float k = 0; k < steps; ++k) {
        const float share = k / steps;
        blend(picture, {from.x + share * (to.x - from.x), from.y + share * (to.y - from.y)}, dot.label, 2);
      }
    }
  }

  static constexpr std::int64_t kSide = 640, kMargin = 12;
  static constexpr std::size_t kMostWays = 256;  // more would cover one another
  std::vector<Dot> dots_;
};

}  // namespace

std::unique_ptr<Sink> make_png_sink(const SinkOptions& options) {
  if (options.sample_shape.size() == 1) return std::make_unique<ScatterSink>(options);
  return std::make_unique<GridSink>(options);
}

}  // namespace pathline::sampler
