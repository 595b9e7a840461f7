// SPDX-License-Identifier: Apache-2.0
#include "data/latent_scale.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/text.h"
#include "data/latents.h"

namespace pathline::data {

using core::ExitCode;

std::optional<LatentScale> parse_latent_scale(const std::string& text) {
  if (text == "channel") return std::nullopt;
  if (text == "none") return LatentScale{};
  if (text == "sd1") return LatentScale{0, 0.18215};      // DiT's and SiT's train.py
  if (text == "sd3") return LatentScale{0.0609, 1.5305};  // Stability's sd3_impls.py
  const std::vector<std::string> both = core::split(text, ',');
  PL_CHECK(both.size() == 2, ExitCode::kUsage, "--normalize is ", text,
           "; it must be channel, sd1, sd3, none, or SHIFT,SCALE such as 0.1159,0.3611.");
  const LatentScale given{core::parse_number(both[0], "--normalize"), core::parse_number(both[1], "--normalize")};
  PL_CHECK(std::isfinite(given.shift) && std::isfinite(given.scale) && given.scale != 0, ExitCode::kUsage,
           "--normalize is ", text, " (x = (latent - shift) * scale would say nothing). Give finite numbers, and a ",
           "scale that is not 0.");
  return given;
}

ChannelMoments::ChannelMoments(const SetInfo& info)
    : info_(info),
      sums_(static_cast<std::size_t>(info.channels)),
      squares_(static_cast<std::size_t>(info.channels)),
      values_(info.stored_values()) {
  PL_ASSERT(info.kind == ItemKind::kLatent);
}

void ChannelMoments::add(std::span<const std::byte> item) {
  half_to_float(item, values_);
  const std::size_t channels = sums_.size(), places = info_.item_values() / channels;
  const bool law = info_.latents.moments == 2;
  for (std::size_t flip = 0; flip < static_cast<std::size_t>(info_.latents.flips); ++flip) {
    const float* latent = values_.data() + flip * info_.item_values() * (law ? 2 : 1);
    for (std::size_t c = 0; c < channels; ++c) {
      double sum = 0, squares = 0;  // of this channel of the item alone, so that large sums take few additions
      for (std::size_t i = c * places; i < (c + 1) * places; ++i) {
        const double value = latent[i], spread = law ? latent_deviation(latent[info_.item_values() + i]) : 0;
        sum += value;
        squares += value * value + spread * spread;
      }
      sums_[c] += sum;
      squares_[c] += squares;
    }
  }
  ++items_;
}

std::vector<double> ChannelMoments::mean() const {
  std::vector<double> means = sums_;
  const double count = static_cast<double>(items_ * info_.latents.flips * info_.height * info_.width);
  for (double& mean : means) mean /= count;
  return means;
}

std::vector<double> ChannelMoments::deviation() const {
  const std::vector<double> means = mean();
  const double count = static_cast<double>(items_ * info_.latents.flips * info_.height * info_.width);
  std::vector<double> deviations;
  for (std::size_t c = 0; c < means.size(); ++c) {
    const double second = squares_[c] / count, variance = second - means[c] * means[c];
    PL_CHECK(variance > 1e-12 * second, ExitCode::kInput, "channel ", c, " of the latents is ", means[c],
             " everywhere (its deviation is taken to scale it). Look at the encoder, or use --normalize none.");
    deviations.push_back(std::sqrt(variance));
  }
  return deviations;
}

}  // namespace pathline::data
