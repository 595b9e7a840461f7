// SPDX-License-Identifier: Apache-2.0
#include "data/repack.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "data/sample_order.h"

namespace pathline::data {

namespace {

/// Numbers of the items of each class, in the order of the set; all in one where classes do not count.
std::vector<std::vector<std::int64_t>> strata(const ShardSource& source, bool by_class) {
  const SetInfo& info = source.info();
  const bool one = !by_class || info.classes == 0;
  std::vector<std::vector<std::int64_t>> members(one ? 1 : static_cast<std::size_t>(info.classes));
  for (std::int64_t i = 0; i < info.count; ++i)
    members[one ? 0 : static_cast<std::size_t>(source.label(i))].push_back(i);
  return members;
}

/// held_out of all `count` divided among strata in proportion to their sizes.
std::vector<std::int64_t> quotas(const std::vector<std::vector<std::int64_t>>& strata, std::int64_t held_out,
                                 std::int64_t count) {
  using Wide = unsigned __int128;
  std::vector<std::int64_t> quota;
  std::vector<std::pair<std::uint64_t, std::size_t>> remainders;  // (largest first, stratum)
  for (std::size_t s = 0; s < strata.size(); ++s) {
    const Wide share = static_cast<Wide>(strata[s].size()) * static_cast<Wide>(held_out);
    quota.push_back(static_cast<std::int64_t>(share / static_cast<Wide>(count)));
    remainders.emplace_back(~static_cast<std::uint64_t>(share % static_cast<Wide>(count)), s);
  }
  std::ranges::sort(remainders);
  std::int64_t left = held_out - std::accumulate(quota.begin(), quota.end(), std::int64_t{0});
  for (std::size_t i = 0; left > 0; ++i, --left) ++quota[remainders[i].second];
  return quota;
}

}  // namespace

std::vector<std::int64_t> repacked_order(const ShardSource& source, bool by_class, std::optional<std::uint64_t> seed) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(source.info().count));
  std::iota(order.begin(), order.end(), 0);
  if (seed) {
    const KeyedBijection keyed(*seed, 0, static_cast<std::uint32_t>(core::Purpose::kRepackOrder), order.size());
    std::ranges::transform(order, order.begin(), [&](std::int64_t place) {
      return static_cast<std::int64_t>(keyed(static_cast<std::uint64_t>(place)));
    });
  }
  if (by_class) std::ranges::stable_sort(order, {}, [&](std::int64_t item) { return source.label(item); });
  return order;
}

Split split(const ShardSource& source, const SplitOptions& options) {
  const std::int64_t count = source.info().count;
  PL_ASSERT(options.held_out > 0 && options.held_out < count);
  const auto members = strata(source, options.stratified);
  const std::vector<std::int64_t> quota = quotas(members, options.held_out, count);
  std::vector<bool> held_out(static_cast<std::size_t>(count));
  for (std::size_t s = 0; s < members.size(); ++s) {
    if (quota[s] == 0) continue;
    const KeyedBijection keyed(options.seed, s, static_cast<std::uint32_t>(core::Purpose::kSplit), members[s].size());
    for (std::int64_t i = 0; i < quota[s]; ++i) {
      held_out[static_cast<std::size_t>(members[s][keyed(static_cast<std::uint64_t>(i))])] = true;
    }
  }
  Split parts;
  for (std::int64_t i = 0; i < count; ++i) {
    (held_out[static_cast<std::size_t>(i)] ? parts.held_out : parts.training).push_back(i);
  }
  return parts;
}

}  // namespace pathline::data
