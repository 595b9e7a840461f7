// SPDX-License-Identifier: Apache-2.0
#include "trainer/data_scale.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "core/error.h"
#include "data/loader.h"

namespace pathline::trainer {
namespace {

/// Values of at most 64 items.
std::vector<float> some_values(const data::ShardSource& source) {
  constexpr std::int64_t kItems = 64;
  const data::SetInfo& info = source.info();
  const std::int64_t items = std::min(kItems, info.count);
  std::vector<std::byte> bytes(info.item_bytes());
  std::vector<float> values(static_cast<std::size_t>(items) * info.item_values());
  for (std::int64_t i = 0; i < items; ++i) {
    source.read(i * info.count / items, bytes);
    data::to_values(info, bytes, false,
                    std::span(values).subspan(static_cast<std::size_t>(i) * info.item_values(), info.item_values()));
  }
  return values;
}

}  // namespace

std::string odd_scale(const data::ShardSource& source) {
  const std::vector<float> values = some_values(source);
  if (source.info().kind == data::ItemKind::kImage) {
    const auto [least, most] = std::ranges::minmax(values);
    if (most - least >= 0.5f) return "";
    return core::concat("the pixels of the items looked at lie in [", least, ", ", most,
                        "], a small part of [-1, 1] (were pictures with values from 0 to 1 stored as bytes?): noise "
                        "will drown them. Import them again.");
  }
  double squares = 0, count = 0;
  for (const float value : values) {
    if (!std::isfinite(value)) continue;  // a step that meets it names its item
    squares += static_cast<double>(value) * value;
    ++count;
  }
  const double root = std::sqrt(squares / std::max(1.0, count));
  if (root > 1.0 / 3 && root < 3) return "";
  return core::concat("the numbers of the items looked at have a root mean square of ", root,
                      ", and the noise has 1: much of the time is then spent where there is nothing to learn. Scale "
                      "the data to about 1",
                      source.info().kind == data::ItemKind::kLatent
                          ? " (attributes shift and scale of /latents; pathline data encode --normalize channel)."
                          : ".");
}

}  // namespace pathline::trainer
