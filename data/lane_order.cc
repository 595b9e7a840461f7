// SPDX-License-Identifier: Apache-2.0
#include "data/lane_order.h"

#include <algorithm>

#include "core/error.h"
#include "core/random.h"

namespace pathline::data {

namespace {

constexpr std::int64_t kMostLanesASlice = 16;

std::int64_t group_end(const Groups& groups, std::size_t group) {
  return group + 1 < groups.firsts.size() ? groups.firsts[group + 1] : groups.count;
}

}  // namespace

std::size_t lane_bytes(const Groups& groups, std::size_t sample_bytes) {
  return 3 * static_cast<std::size_t>(groups.most) * sample_bytes;
}

std::int64_t plan_lanes(const Groups& groups, std::size_t sample_bytes, std::int64_t slices, std::size_t budget) {
  if (groups.firsts.empty() || static_cast<std::size_t>(groups.count) * sample_bytes <= budget) return 0;
  const auto fitting = static_cast<std::int64_t>(budget / lane_bytes(groups, sample_bytes)) / slices;
  return std::clamp<std::int64_t>(fitting, 1, kMostLanesASlice);
}

/// The keyed order of one epoch: groups one after the other, cut into lanes.
struct LaneOrder::Epoch {
  std::uint64_t number = 0;
  std::vector<std::uint32_t> group;      // at each place
  std::vector<std::uint64_t> before;     // (groups + 1) training samples before each place
  std::vector<std::uint64_t> lane_from;  // (lanes + 1) where each lane begins in the row of all samples
};

LaneOrder::LaneOrder(std::uint64_t seed, Groups groups, const HoldOut& hold_out, std::int64_t batch,
                     std::int64_t slices, std::int64_t lanes_a_slice)
    : seed_(seed),
      groups_(std::move(groups)),
      batch_(batch),
      slices_(slices),
      lanes_a_slice_(lanes_a_slice),
      count_(static_cast<std::uint64_t>(hold_out.training_count())) {
  PL_ASSERT(batch > 0 && slices > 0 && batch % slices == 0 && lanes_a_slice > 0);
  PL_ASSERT(!groups_.firsts.empty() && groups_.firsts[0] == 0 && groups_.firsts.size() <= (std::size_t{1} << 32));
  PL_ASSERT(hold_out.training_count() + hold_out.held_out_count() == groups_.count);
  for (std::int64_t i = 0; i < hold_out.held_out_count(); ++i) held_out_.push_back(hold_out.held_out_sample(i));
  std::ranges::sort(held_out_);
  for (const std::int64_t first : groups_.firsts) {
    held_first_.push_back(std::ranges::lower_bound(held_out_, first) - held_out_.begin());
  }
  held_first_.push_back(std::ssize(held_out_));
}

double LaneOrder::amplification() const {
  const auto groups = static_cast<double>(groups_.firsts.size());
  return (groups + static_cast<double>(lanes() - 1)) / groups;
}

/// How many positions below `position` belong to `slice`.
std::uint64_t LaneOrder::positions_before(std::uint64_t position, std::int64_t slice) const {
  const std::uint64_t batch = static_cast<std::uint64_t>(batch_), each = batch / static_cast<std::uint64_t>(slices_);
  const std::uint64_t first = static_cast<std::uint64_t>(slice) * each, rest = position % batch;
  return position / batch * each + std::min(rest > first ? rest - first : 0, each);
}

LaneOrder::Place LaneOrder::place_of(std::uint64_t position, std::uint64_t epoch) const {
  const auto slice = static_cast<std::int64_t>(position % static_cast<std::uint64_t>(batch_)) / (batch_ / slices_);
  const std::uint64_t turn = positions_before(position, slice) - positions_before(epoch * count_, slice);
  const auto lanes = static_cast<std::uint64_t>(lanes_a_slice_);
  return {slice * lanes_a_slice_ + static_cast<std::int64_t>(turn % lanes), turn / lanes};
}

std::shared_ptr<const LaneOrder::Epoch> LaneOrder::epoch(std::uint64_t number) const {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<const Epoch>& kept = epochs_[number % 2];
  if (kept && kept->number == number) return kept;
  auto made = std::make_shared<Epoch>();
  made->number = number;
  const std::size_t groups = groups_.firsts.size();
  const KeyedBijection order(seed_, number, static_cast<std::uint32_t>(core::Purpose::kLaneGroups), groups);
  made->before.push_back(0);
  for (std::size_t place = 0; place < groups; ++place) {
    const auto group = static_cast<std::uint32_t>(order(place));
    const std::int64_t all = group_end(groups_, group) - groups_.firsts[group];
    const std::int64_t held = held_first_[group + 1] - held_first_[group];
    made->group.push_back(group);
    made->before.push_back(made->before.back() + static_cast<std::uint64_t>(all - held));
  }
  made->lane_from.push_back(0);
  for (std::int64_t lane = 0; lane < lanes(); ++lane) {
    const std::int64_t slice = lane / lanes_a_slice_;
    const std::uint64_t turns =
        positions_before((number + 1) * count_, slice) - positions_before(number * count_, slice);
    const auto all = static_cast<std::uint64_t>(lanes_a_slice_), mine = static_cast<std::uint64_t>(lane) % all;
    made->lane_from.push_back(made->lane_from.back() + (turns + all - 1 - mine) / all);
  }
  PL_ASSERT(made->before.back() == count_ && made->lane_from.back() == count_);
  return kept = std::move(made);
}

/// The sample at `place` of the row of all samples of an epoch.
std::int64_t LaneOrder::sample_at(const Epoch& epoch, std::uint64_t place) const {
  const auto after = std::ranges::upper_bound(epoch.before, place);
  const auto at = static_cast<std::size_t>(after - epoch.before.begin()) - 1;
  const std::uint32_t group = epoch.group[at];
  const std::uint64_t inside = place - epoch.before[at], size = epoch.before[at + 1] - epoch.before[at];
  const KeyedBijection order(seed_, epoch.number << 32 | group, static_cast<std::uint32_t>(core::Purpose::kLaneSamples),
                             size);
  // The n-th sample of the group that is not held out.
  std::int64_t sample = groups_.firsts[group] + static_cast<std::int64_t>(order(inside));
  for (auto held = held_first_[group]; held < held_first_[group + 1]; ++held) {
    if (held_out_[static_cast<std::size_t>(held)] > sample) break;
    ++sample;
  }
  return sample;
}

std::int64_t LaneOrder::sample(std::uint64_t position) const {
  const std::uint64_t number = position / count_;
  const Place place = place_of(position, number);
  const auto now = epoch(number);
  return sample_at(*now, now->lane_from[static_cast<std::size_t>(place.lane)] + place.index);
}

void LaneOrder::samples(std::uint64_t first, std::span<std::int64_t> out) const {
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = sample(first + i);
}

void LaneOrder::ahead(std::uint64_t first, std::span<std::int64_t> out) const {
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = ahead(first + i);
}

std::int64_t LaneOrder::ahead(std::uint64_t position) const {
  const std::uint64_t number = position / count_;
  const Place place = place_of(position, number);
  std::shared_ptr<const Epoch> then = epoch(number);
  const auto lane = static_cast<std::size_t>(place.lane);
  const std::uint64_t distance =
      1 + static_cast<std::uint64_t>(groups_.most) * (lane + 1) / static_cast<std::uint64_t>(lanes());
  std::uint64_t index = place.index + distance;
  if (const std::uint64_t mine = then->lane_from[lane + 1] - then->lane_from[lane]; index >= mine) {
    index -= mine;
    then = epoch(number + 1);
    if (index >= then->lane_from[lane + 1] - then->lane_from[lane]) return -1;  // an epoch of next to nothing
  }
  const std::uint64_t row = then->lane_from[lane] + index;
  const bool enters = index == 0 || std::ranges::binary_search(then->before, row);
  return enters ? sample_at(*then, row) : -1;
}

}  // namespace pathline::data
