// SPDX-License-Identifier: Apache-2.0
#include "data/latents.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "core/error.h"
#include "core/every_isa.h"

namespace pathline::data {
namespace {

using core::ExitCode;

// ---- Numbers. Compiled without contraction: each operation is rounded, on every machine.

/// Shifted into place, a half's exponent is 112 too small, also where it is subnormal; one product corrects it.
inline float from_half(std::uint16_t half) {
  const std::uint32_t magnitude = (half & 0x7fffu) << 13;
  const float finite = std::bit_cast<float>(magnitude) * 0x1p112f;
  const std::uint32_t bits =
      magnitude < (0x7c00u << 13) ? std::bit_cast<std::uint32_t>(finite) : magnitude | 0x7f800000u;
  return std::bit_cast<float>(bits | (half & 0x8000u) << 16);
}

/// exp(log_variance / 2), the log-variance within [-30, 20]: 2^k exp(r) with |r| <= ln 2 / 2 and Taylor's polynomial of
/// degree 9, whose error of 7e-12 is far below fp32's. An own one: libraries differ in the last bit.
inline float deviation(float log_variance) {
  constexpr double kToInteger = 0x1.8p52, kPerLn2 = 0x1.71547652b82fep+0, kLn2 = 0x1.62e42fefa39efp-1;
  const double y = std::min(std::max(log_variance, -30.0f), 20.0f) * 0.5f;
  const double shifted = y * kPerLn2 + kToInteger;
  const double r = y - (shifted - kToInteger) * kLn2;
  double q = 1.0 / 362880;
  for (const double coefficient : {1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 1.0 / 2, 1.0, 1.0})
    q = q * r + coefficient;
  const double power = std::bit_cast<double>((std::bit_cast<std::uint64_t>(shifted) + 1023) << 52);
  return static_cast<float>(q * power);
}

PATHLINE_EVERY_ISA void convert(const std::uint16_t* in, std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = from_half(in[i]);
}

PATHLINE_EVERY_ISA void normalise(std::size_t count, float shift, float scale, float* values) {
  for (std::size_t i = 0; i < count; ++i) values[i] = (values[i] - shift) * scale;
}

/// values: normal numbers, and afterwards numbers of the law.
PATHLINE_EVERY_ISA void draw_from(const std::uint16_t* mean, const std::uint16_t* log_variance, std::size_t count,
                                  float* values) {
  for (std::size_t i = 0; i < count; ++i)
    values[i] = from_half(mean[i]) + deviation(from_half(log_variance[i])) * values[i];
}

const std::uint16_t* halves(std::span<const std::byte> bytes) {
  PL_ASSERT(reinterpret_cast<std::uintptr_t>(bytes.data()) % sizeof(std::uint16_t) == 0);
  return reinterpret_cast<const std::uint16_t*>(bytes.data());
}

// ---- What a file says

/// One number a channel; a single one stands for all, none for `usual`.
std::vector<double> per_channel(const hdf5::File& file, const char* attribute, std::int64_t channels, double usual) {
  std::vector<double> numbers = file.numbers("/latents", attribute);
  if (numbers.empty()) numbers = {usual};
  if (numbers.size() == 1) numbers.resize(static_cast<std::size_t>(channels), numbers[0]);
  const bool finite = std::ranges::all_of(numbers, [](double number) { return std::isfinite(number); });
  PL_CHECK(numbers.size() == static_cast<std::size_t>(channels) && finite, ExitCode::kInput, file.path(),
           ": the attribute ", attribute, " of /latents holds ", numbers.size(), finite ? "" : " partly infinite",
           " numbers, and latents have ", channels, " channels (x = (latent - shift) * scale, one number a channel). ",
           "Write it again.");
  return numbers;
}

bool fits(const std::vector<std::int64_t>& shape) {
  if (!std::ranges::all_of(shape, [](std::int64_t size) { return size > 0; })) return false;
  return shape.size() == 4 || (shape.size() == 6 && shape[1] <= 2 && shape[2] <= 2);
}

}  // namespace

SetInfo latent_info(const hdf5::File& file, const hdf5::DataSet& items) {
  const std::vector<std::int64_t>& shape = items.shape();
  PL_CHECK(
      fits(shape) && items.is(hdf5::Element::kFloat16), ExitCode::kInput, file.path(), " has ", items.describe(),
      " where an image store has /latents float16 of (count, channels, height, width) or (count, flips 1..2, ",
      "moments 1..2, channels, height, width), little-endian. Write it so, or make it with `pathline data encode`.");
  SetInfo info;
  info.kind = ItemKind::kLatent;
  info.count = shape[0];
  info.channels = shape[shape.size() - 3];
  info.height = shape[shape.size() - 2];
  info.width = shape.back();
  if (shape.size() == 6) info.latents.flips = shape[1], info.latents.moments = shape[2];
  info.latents.shift = per_channel(file, "shift", info.channels, 0);
  info.latents.scale = per_channel(file, "scale", info.channels, 1);
  PL_CHECK(std::ranges::count(info.latents.scale, 0) == 0, ExitCode::kInput, file.path(),
           ": the attribute scale of /latents holds a zero (nothing would be left of that channel). Write it again.");
  return info;
}

std::string described(const LatentForm& form) {
  return core::concat(form.flips == 2 ? ", both flips" : "", form.moments == 2 ? ", mean and log-variance" : "");
}

void bind(core::Config& config, LatentForm& form) {
  using core::OnResume;
  config.bind("data", "latent_shift", form.shift, OnResume::kFixed,
              "of latents, by channel: x = (latent - shift) * scale; taken from the set");
  config.bind("data", "latent_scale", form.scale, OnResume::kFixed, "likewise");
}

void latent_to_values(const SetInfo& info, std::span<const std::byte> item, bool mirrored, const core::Draws* draw,
                      std::span<float> out) {
  const auto& [flips, moments, shift, scale] = info.latents;
  PL_ASSERT(info.kind == ItemKind::kLatent && (!mirrored || flips == 2));
  const std::size_t values = info.item_values(), places = values / static_cast<std::size_t>(info.channels);
  const std::uint16_t* own = halves(item) + (mirrored ? values * static_cast<std::size_t>(moments) : 0);
  if (moments == 2 && draw != nullptr) {
    draw->fill_normal(out);
    draw_from(own, own + values, values, out.data());
  } else {
    convert(own, values, out.data());
  }
  for (std::size_t c = 0; c < scale.size(); ++c) {
    normalise(places, static_cast<float>(shift[c]), static_cast<float>(scale[c]), out.data() + c * places);
  }
}

float latent_deviation(float log_variance) { return deviation(log_variance); }

void half_to_float(std::span<const std::byte> bytes, std::span<float> out) {
  PL_ASSERT(bytes.size() == out.size() * sizeof(std::uint16_t));
  convert(halves(bytes), out.size(), out.data());
}

}  // namespace pathline::data
