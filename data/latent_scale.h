// SPDX-License-Identifier: Apache-2.0
// Shift and scale of latents: those of well-known autoencoders, given ones, or measured over a set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/shard_source.h"

namespace pathline::data {

/// x = (latent - shift) * scale, the same for all channels.
struct LatentScale {
  double shift = 0, scale = 1;
};

/// "sd1" (0, 0.18215), "sd3" (0.0609, 1.5305), "none" (0, 1), "SHIFT,SCALE"; nothing for "channel", which is measured.
/// Throws ExitCode::kUsage for anything else.
std::optional<LatentScale> parse_latent_scale(const std::string& text);

/// Mean and standard deviation of every channel over all items, flips included; of laws the mean and deviation of what
/// is drawn from them. In fp64, in the order of the items: the same bits however the set was made.
class ChannelMoments {
 public:
  /// Of items as `info` describes latents.
  explicit ChannelMoments(const SetInfo& info);
  void add(std::span<const std::byte> item);
  std::vector<double> mean() const;
  /// Throws ExitCode::kInput where a channel is constant.
  std::vector<double> deviation() const;

 private:
  SetInfo info_;
  std::int64_t items_ = 0;
  std::vector<double> sums_, squares_;  // by channel
  std::vector<float> values_;           // of an item
};

}  // namespace pathline::data
