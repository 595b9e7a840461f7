// SPDX-License-Identifier: Apache-2.0
#include "data/lane_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "core/error.h"
#include "core/random.h"

namespace pathline::data {
namespace {

/// Groups of `each` samples; the last of every file of `file` samples is as large as what is left.
Groups groups_of(std::int64_t files, std::int64_t file, std::int64_t each) {
  Groups groups;
  for (std::int64_t f = 0; f < files; ++f) {
    for (std::int64_t first = 0; first < file; first += each) groups.firsts.push_back(f * file + first);
  }
  groups.count = files * file;
  groups.most = std::min(each, file);
  return groups;
}

std::int64_t group_of(const Groups& groups, std::int64_t sample) {
  return std::ranges::upper_bound(groups.firsts, sample) - groups.firsts.begin() - 1;
}

struct Case {
  std::int64_t files = 1, file = 0, each = 0, batch = 0, slices = 0, lanes = 0, held_out = 0;
};

// Whole and ragged groups and files, batches that do and do not divide the set, and sets smaller than a batch.
const Case kCases[] = {{1, 1000, 50, 40, 4, 2, 0},   {3, 333, 50, 48, 8, 3, 17}, {1, 1000, 7, 64, 4, 16, 100},
                       {2, 37, 500, 64, 16, 1, 5},   {1, 23, 5, 100, 4, 2, 3},   {5, 210, 30, 6, 6, 1, 0},
                       {1, 2000, 100, 128, 1, 4, 20}};

TEST(LaneOrder, EveryEpochVisitsEverySampleOnce) {
  for (const Case& c : kCases) {
    const Groups groups = groups_of(c.files, c.file, c.each);
    const HoldOut hold_out(5, groups.count, c.held_out);
    const LaneOrder order(9, groups, hold_out, c.batch, c.slices, c.lanes);
    std::set<std::int64_t> kept;
    for (std::int64_t i = 0; i < hold_out.training_count(); ++i) kept.insert(hold_out.training_sample(i));
    for (std::uint64_t epoch = 0; epoch < 4; ++epoch) {
      std::multiset<std::int64_t> visited;
      for (std::uint64_t p = 0; p < kept.size(); ++p) visited.insert(order.sample(epoch * kept.size() + p));
      EXPECT_TRUE(std::ranges::equal(visited, kept)) << c.each << " " << c.batch << ", epoch " << epoch;
    }
  }
}

/// The definition in docs/formats/order.md, written down as a walk through all positions.
std::vector<std::int64_t> walked(std::uint64_t seed, const Groups& groups, const HoldOut& hold_out, const Case& c,
                                 std::uint64_t positions) {
  const auto purpose = [](core::Purpose purpose) { return static_cast<std::uint32_t>(purpose); };
  std::set<std::int64_t> training;
  for (std::int64_t i = 0; i < hold_out.training_count(); ++i) training.insert(hold_out.training_sample(i));
  const std::uint64_t count = training.size();
  std::vector<std::int64_t> samples;
  for (std::uint64_t epoch = 0; samples.size() < positions; ++epoch) {
    std::vector<std::int64_t> row;
    const KeyedBijection order(seed, epoch, purpose(core::Purpose::kLaneGroups), groups.firsts.size());
    for (std::size_t place = 0; place < groups.firsts.size(); ++place) {
      const std::uint64_t group = order(place);
      const std::int64_t end = group + 1 < groups.firsts.size() ? groups.firsts[group + 1] : groups.count;
      const std::vector<std::int64_t> own(training.lower_bound(groups.firsts[group]), training.lower_bound(end));
      if (own.empty()) continue;
      const KeyedBijection inside(seed, (epoch << 32) + group, purpose(core::Purpose::kLaneSamples), own.size());
      for (std::size_t j = 0; j < own.size(); ++j) row.push_back(own[inside(j)]);
    }
    // Which positions every lane has, in order; the lanes then take the row one after the other.
    std::vector<std::vector<std::uint64_t>> lanes(static_cast<std::size_t>(c.slices * c.lanes));
    std::vector<std::int64_t> turns(static_cast<std::size_t>(c.slices));
    for (std::uint64_t position = epoch * count; position < (epoch + 1) * count; ++position) {
      const auto slice =
          static_cast<std::int64_t>(position % static_cast<std::uint64_t>(c.batch)) / (c.batch / c.slices);
      const std::int64_t turn = turns[static_cast<std::size_t>(slice)]++;
      lanes[static_cast<std::size_t>(slice * c.lanes + turn % c.lanes)].push_back(position);
    }
    samples.resize((epoch + 1) * count);
    auto next = row.begin();
    for (const auto& lane : lanes) {
      for (const std::uint64_t position : lane) samples[position] = *next++;
    }
  }
  samples.resize(positions);
  return samples;
}

TEST(LaneOrder, IsTheOneOfTheFormatsPage) {
  for (const Case& c : kCases) {
    const Groups groups = groups_of(c.files, c.file, c.each);
    const HoldOut hold_out(5, groups.count, c.held_out);
    const LaneOrder order(9, groups, hold_out, c.batch, c.slices, c.lanes);
    std::vector<std::int64_t> found(3 * static_cast<std::size_t>(groups.count));
    order.samples(0, found);
    EXPECT_EQ(found, walked(9, groups, hold_out, c, found.size()));
  }
  const auto first = [](std::int64_t count, std::int64_t held_out, const Case& c) {
    const LaneOrder order(7, groups_of(1, count, 4), HoldOut(7, count, held_out), c.batch, c.slices, c.lanes);
    std::vector<std::int64_t> samples(24);
    order.samples(0, samples);
    return samples;
  };
  EXPECT_EQ(first(12, 0, {.batch = 4, .slices = 2, .lanes = 1}),
            (std::vector<std::int64_t>{0, 2, 6, 5, 1, 3, 8, 9, 4, 7, 11, 10, 3, 2, 10, 8, 0, 1, 7, 5, 9, 11, 4, 6}));
  EXPECT_EQ(
      first(22, 2, {.batch = 12, .slices = 2, .lanes = 2}),
      (std::vector<std::int64_t>{8, 13, 9, 0, 11, 2, 21, 17, 18, 4, 19, 5, 10, 1, 15, 3, 14, 20, 16, 6, 19, 21, 6, 9}));
}

TEST(LaneOrder, AGroupIsReadByOneLaneAndAtOneTime) {
  const Groups groups = groups_of(1, 4000, 40);
  const HoldOut all(5, 4000, 0);
  const LaneOrder order(9, groups, all, 64, 8, 2);
  std::map<std::int64_t, std::set<std::uint64_t>> lanes;                        // of each group
  std::map<std::pair<std::int64_t, std::uint64_t>, std::uint64_t> first, last;  // step, of group and lane
  for (std::uint64_t position = 0; position < 4000; ++position) {
    const std::int64_t group = group_of(groups, order.sample(position));
    const std::uint64_t lane = position % 64 / 8 * 2 + position % 2;
    lanes[group].insert(lane);
    first.try_emplace({group, lane}, position / 64);
    last[{group, lane}] = position / 64;
  }
  std::int64_t read = 0;
  for (const auto& [group, by] : lanes) read += std::ssize(by);
  EXPECT_LE(read, 100 + order.lanes() - 1);
  EXPECT_NEAR(order.amplification(), 1.15, 1e-12);
  // A lane takes 4 samples a step from its group of 40, so a group is open for at most 11 steps.
  for (const auto& [key, step] : first) EXPECT_LE(last[key] - step, 11u);
}

TEST(LaneOrder, IsAnotherOneEveryEpochAndForEverySeed) {
  const Groups groups = groups_of(1, 1000, 50);
  const HoldOut all(5, 1000, 0);
  const LaneOrder order(9, groups, all, 40, 4, 2), other(10, groups, all, 40, 4, 2);
  int same_epoch = 0, same_seed = 0, neighbours = 0;
  for (std::uint64_t p = 0; p < 1000; ++p) {
    same_epoch += order.sample(p) == order.sample(1000 + p);
    same_seed += order.sample(p) == other.sample(p);
    neighbours += order.sample(p) + 1 == order.sample(p + 1);
  }
  EXPECT_LT(same_epoch, 10);  // 1 is expected
  EXPECT_LT(same_seed, 10);
  EXPECT_LT(neighbours, 40);  // of random samples out of the same group of 50, one in 50 is the next
}

// What is named ahead is what the lane reads later; every group a lane enters is named once before, after the start.
TEST(LaneOrder, NamesGroupsBeforeTheyAreRead) {
  const Groups groups = groups_of(1, 4000, 40);
  const HoldOut hold_out(5, 4000, 60);
  const LaneOrder order(9, groups, hold_out, 64, 8, 2);
  std::map<std::pair<std::int64_t, std::uint64_t>, int> named;  // by group and slice
  const std::uint64_t positions = 3 * 3940;
  std::set<std::pair<std::int64_t, std::uint64_t>> open;
  int entered = 0, known = 0;
  for (std::uint64_t p = 0; p < positions; ++p) {
    const std::uint64_t slice = p % 64 / 8;
    const std::int64_t group = group_of(groups, order.sample(p));
    if (p > 64 * 24 && open.insert({group, slice + 100 * (p / 3940)}).second) {
      ++entered;
      known += named[{group, slice}] > 0;
    }
    if (const std::int64_t soon = order.ahead(p); soon >= 0) ++named[{group_of(groups, soon), slice}];
  }
  EXPECT_GT(entered, 250);
  EXPECT_EQ(known, entered);
}

TEST(LaneOrder, ThePlanDependsOnWhatFits) {
  const Groups groups = groups_of(1, 50000, 500);
  const std::size_t gib = std::size_t{1} << 30;
  EXPECT_EQ(plan_lanes({{}, 50000, 1}, 3072, 8, gib), 0);  // nothing is decoded together
  EXPECT_EQ(plan_lanes(groups, 3072, 8, gib), 0);          // all 154 MB stay
  EXPECT_EQ(lane_bytes(groups, 3072), 3u * 500 * 3072);    // 4.6 MB
  EXPECT_EQ(plan_lanes(groups, 3072, 2, std::size_t{50} << 20), 5);
  EXPECT_EQ(plan_lanes(groups, 3072, 64, std::size_t{50} << 20), 1);
}

}  // namespace
}  // namespace pathline::data
