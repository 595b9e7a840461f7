// SPDX-License-Identifier: Apache-2.0
#include "sampler/compute_device.h"

#include <gtest/gtest.h>

#include <string>

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

}  // namespace
}  // namespace pathline::sampler
