// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "core/text.h"
#include "data/made.h"

namespace pathline::data {
namespace {

using core::ExitCode;

class Shapes final : public ShardSource {
 public:
  explicit Shapes(const MadeOptions& options) : seed_(options.seed) {
    info_.count = options.count;
    info_.height = info_.width = options.size;
    info_.channels = 3;
    info_.class_names = shape_names();
    info_.classes = static_cast<std::int64_t>(info_.class_names.size());
    info_.description = core::concat("made: shapes, seed ", seed_);
  }
  const SetInfo& info() const override { return info_; }
  void read(std::int64_t index, std::span<std::byte> out) const override {
    const Image image = draw_shape(label(index), info_.height, seed_, static_cast<std::uint64_t>(index));
    std::memcpy(out.data(), image.pixels.data(), out.size());
  }
  std::int64_t label(std::int64_t index) const override { return index % info_.classes; }

 private:
  std::uint64_t seed_;
  SetInfo info_;
};

using MakePoint = LabelledPoint (*)(std::uint64_t seed, std::uint64_t index);

class Points final : public ShardSource {
 public:
  Points(const std::string& name, MakePoint make, std::int64_t classes, const MadeOptions& options)
      : seed_(options.seed), make_(make) {
    info_.kind = ItemKind::kPoint;
    info_.count = options.count;
    info_.channels = 2;
    info_.classes = classes;
    info_.description = core::concat("made: ", name, ", seed ", seed_);
  }
  const SetInfo& info() const override { return info_; }
  void read(std::int64_t index, std::span<std::byte> out) const override {
    const LabelledPoint point = make_(seed_, static_cast<std::uint64_t>(index));
    const float values[2] = {point.x, point.y};
    std::memcpy(out.data(), values, out.size());
  }
  std::int64_t label(std::int64_t index) const override {
    return make_(seed_, static_cast<std::uint64_t>(index)).label;
  }

 private:
  std::uint64_t seed_;
  MakePoint make_;
  SetInfo info_;
};

}  // namespace

const std::vector<std::string>& made_names() {
  static const std::vector<std::string> kNames = {"shapes", "moons", "checkerboard", "8gaussians", "gaussian"};
  return kNames;
}

std::unique_ptr<ShardSource> make_source(const std::string& name, const MadeOptions& options) {
  PL_CHECK(options.count > 0, ExitCode::kUsage, "A data set of ", options.count,
           " items cannot be made. Give --count 1 or more.");
  PL_CHECK(options.size >= 8 && options.size <= 4096, ExitCode::kUsage, "Pictures of ", options.size,
           " pixels a side cannot be made. Give --size between 8 and 4096.");
  if (name == "shapes") return std::make_unique<Shapes>(options);
  if (name == "moons") return std::make_unique<Points>(name, moon_point, 2, options);
  if (name == "checkerboard") return std::make_unique<Points>(name, checkerboard_point, 0, options);
  if (name == "gaussian") return std::make_unique<Points>(name, gaussian_point, 0, options);
  if (name == "8gaussians") return std::make_unique<Points>(name, eight_gaussians_point, 8, options);
  throw core::Error(
      ExitCode::kUsage,
      core::concat("There is no made data set called ", name, ". The nearest known one is ",
                   core::nearest_name(name, made_names()), "; there are ", core::listed(made_names()), "."));
}

}  // namespace pathline::data
