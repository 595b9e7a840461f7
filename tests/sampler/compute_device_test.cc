// SPDX-License-Identifier: Apache-2.0
#include "sampler/compute_device.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/error.h"

namespace pathline::sampler {
namespace {

DeviceWish wish(const std::string& kind) { return {kind, "use --device cpu"}; }

/// What it says when it refuses.
std::string refusal_of(const std::string& kind, const DevicePlaces& places) {
  try {
    gpu_for(wish(kind), places);
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kEnvironment);
    return error.what();
  }
  return "";
}

TEST(GpuFor, EveryRankOfAHostTakesOneOfItsOwn) {
  for (int rank = 0; rank < 4; ++rank) {
    EXPECT_EQ(gpu_for(wish("auto"), {4, 4, rank, 4}), rank);
    EXPECT_EQ(gpu_for(wish("cuda"), {4, 4, rank, 4}), rank);
    EXPECT_EQ(gpu_for(wish("cpu"), {4, 4, rank, 4}), -1);
  }
}

TEST(GpuFor, AutoMeansTheProcessorWhereNoRankHasAGpu) { EXPECT_EQ(gpu_for(wish("auto"), {0, 0, 1, 2}), -1); }

TEST(GpuFor, RefusesAHostWithoutGpusAmongHostsThatHaveThem) {
  EXPECT_NE(refusal_of("auto", {0, 8, 0, 1}), "");
  EXPECT_NE(refusal_of("cuda", {0, 0, 0, 1}).find("use --device cpu"), std::string::npos);
}

TEST(GpuFor, RefusesMoreRanksThanGpus) {
  const std::string text = refusal_of("cuda", {2, 2, 0, 3});
  EXPECT_NE(text.find("3 ranks"), std::string::npos) << text;
  EXPECT_NE(text.find("2 GPUs"), std::string::npos) << text;
}

using Ranks = std::vector<RankDevices>;

std::vector<int> choices_of(const Ranks& ranks) {
  std::vector<int> indices;
  for (int r = 0; r < std::ssize(ranks); ++r) indices.push_back(gpu_for(wish("auto"), r, ranks));
  return indices;
}

std::string refusal_of(int rank, const Ranks& ranks) {
  try {
    gpu_for(wish("cuda"), rank, ranks);
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kEnvironment);
    return error.what();
  }
  return "";
}

TEST(GpuForRanks, RanksOfAHostThatSeeAllItsGpusTakeThemInTurn) {
  const std::vector<std::string> a = {"a0", "a1"}, b = {"b0", "b1", "b2"};
  EXPECT_EQ(choices_of({{"a", a}, {"b", b}, {"a", a}, {"b", b}}), (std::vector{0, 0, 1, 1}));
}

TEST(GpuForRanks, RanksThatSeeOneGpuOfTheirOwnEachTakeIt) {
  const Ranks ranks = {{"a", {"a0"}}, {"a", {"a1"}}, {"a", {"a2"}}, {"b", {"a0"}}};  // copied machines: equal names
  EXPECT_EQ(choices_of(ranks), (std::vector{0, 0, 0, 0}));
  EXPECT_TRUE(enough_gpus(3, std::span(ranks).first(3)));
}

TEST(GpuForRanks, RanksThatSeeTwoGpusInPairsTakeOneEach) {
  const std::vector<std::string> low = {"0", "1"}, high = {"2", "3"};
  EXPECT_EQ(choices_of({{"a", low}, {"a", low}, {"a", high}, {"a", high}}), (std::vector{0, 1, 0, 1}));
}

TEST(GpuForRanks, TheSameGpusInAnotherOrderAreTakenOnceEach) {
  EXPECT_EQ(choices_of({{"a", {"0", "1"}}, {"a", {"1", "0"}}}), (std::vector{0, 0}));
}

TEST(GpuForRanks, RefusesTwoRanksThatSeeTheSameSingleGpu) {
  const Ranks ranks = {{"a", {"0"}}, {"a", {"0"}}};
  for (int r : {0, 1}) {
    const std::string text = refusal_of(r, ranks);
    EXPECT_NE(text.find("2 ranks were started on this host, which has 1 GPU"), std::string::npos) << text;
  }
  EXPECT_FALSE(enough_gpus(2, ranks));
}

TEST(GpuForRanks, RefusesOverlappingGpusOnlyWhereTwoRanksTakeTheSame) {
  const Ranks shared = {{"a", {"0", "1"}}, {"a", {"0"}}};
  EXPECT_NE(refusal_of(1, shared).find("ranks 0 and 1 of host a would compute on one GPU, 0"), std::string::npos)
      << refusal_of(1, shared);
  EXPECT_FALSE(enough_gpus(2, shared));
  EXPECT_EQ(choices_of({{"a", {"0", "1"}}, {"a", {"1", "2"}}}), (std::vector{0, 0}));
}

TEST(GpuForRanks, AutoMeansTheProcessorWhereNoRankHasAGpuAndElseAllNeedOne) {
  EXPECT_EQ(choices_of({{"a", {}}, {"b", {}}}), (std::vector{-1, -1}));
  EXPECT_NE(refusal_of(1, {{"a", {"0"}}, {"b", {}}}), "");
}

TEST(EnoughGpus, OfRanksThatAreNotThereYetCountsWhatOthersSee) {
  EXPECT_TRUE(enough_gpus(4, Ranks{{"a", {"0", "1", "2", "3"}}}));
  EXPECT_FALSE(enough_gpus(4, Ranks{{"a", {"0", "1"}}, {"a", {"1", "2"}}}));
  EXPECT_TRUE(enough_gpus(3, Ranks{{"a", {"0", "1"}}, {"a", {"1", "2"}}}));
}

}  // namespace
}  // namespace pathline::sampler
