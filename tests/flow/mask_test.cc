// SPDX-License-Identifier: Apache-2.0
#include "flow/mask.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "core/error.h"
#include "flow/keyed_draws.h"

namespace pathline::flow {
namespace {

constexpr std::int64_t kCount = 400;

std::vector<std::uint64_t> positions(std::size_t count = kCount, std::uint64_t first = 0) {
  std::vector<std::uint64_t> all(count);
  std::iota(all.begin(), all.end(), first);
  return all;
}

at::Tensor masks(const char* law, at::IntArrayRef shape) {
  return keyed_masks(3, core::Purpose::kMask, positions(), MaskLaw::parse(law), shape);
}

double share(const at::Tensor& flags) { return flags.to(at::kDouble).mean().item<double>(); }

TEST(Mask, DependsOnItsPositionAlone) {
  const at::Tensor all = masks("box", {3, 8, 12});
  EXPECT_EQ(all.sizes(), at::IntArrayRef({kCount, 1, 8, 12}));
  const at::Tensor some = keyed_masks(3, core::Purpose::kMask, positions(50, 70), MaskLaw::parse("box"), {3, 8, 12});
  EXPECT_TRUE(at::equal(all.narrow(0, 70, 50), some));
}

TEST(Mask, OfHalvesShowsEachOfThemEquallyOften) {
  const at::Tensor all = masks("half", {3, 6, 6});
  const at::Tensor known = all.flatten(1).sum(1);
  EXPECT_EQ(known.min().item<float>(), 18);
  EXPECT_EQ(known.max().item<float>(), 18);
  // a fixed pixel of the corner lies in two of four halves; four deviations of 400 coins
  EXPECT_NEAR(share(all.select(2, 0).select(2, 0)), 0.5, 0.1);
  // upper left and lower right corner both unknown or both known: never
  EXPECT_EQ(share(all.select(2, 0).select(2, 0) + all.select(2, 5).select(2, 5) != 1), 0);
  const at::Tensor points = masks("half", {2});
  EXPECT_EQ(share(points.sum(1) != 1), 0);
  EXPECT_NEAR(share(points.select(1, 0)), 0.5, 0.1);
}

TEST(Mask, OfBoxesHidesAQuarterToThreeQuartersOfEachEdge) {
  const at::Tensor hidden = 1 - masks("box", {1, 16, 16}).squeeze(1);
  const at::Tensor rows = hidden.amax(2).sum(1), columns = hidden.amax(1).sum(1);  // edges of the boxes
  for (const at::Tensor& edge : {rows, columns}) {
    EXPECT_EQ(edge.min().item<float>(), 4);
    EXPECT_EQ(edge.max().item<float>(), 12);
  }
  EXPECT_TRUE(at::equal(rows * columns, hidden.flatten(1).sum(1)));  // nothing inside is known
  EXPECT_GT(share(hidden.select(1, 0).amax(1)), 0);                  // boxes reach the border
  EXPECT_GT(share(hidden.select(1, 15).amax(1)), 0);
}

TEST(Mask, OfPixelsShowsThemWithTheirProbability) {
  EXPECT_NEAR(share(masks("pixels:0.3", {1, 16, 16})), 0.3, 0.006);  // 4 deviations of 102,400 coins
  EXPECT_EQ(share(masks("pixels:0", {5})), 0);
}

TEST(Mask, StartsFromTheDataWhereTheyAreKnown) {
  const at::Tensor mask = masks("pixels:0.5", {3, 4, 4});
  const at::Tensor x1 = keyed_noise(1, core::Purpose::kNoise, positions(), {3, 4, 4});
  const at::Tensor x0 = keyed_noise(2, core::Purpose::kNoise, positions(), {3, 4, 4});
  const at::Tensor start = masked_start(x1, x0, mask), known = known_part(x1, mask);
  EXPECT_TRUE(at::equal(start * mask, x1 * mask));
  EXPECT_TRUE(at::equal(start * (1 - mask), x0 * (1 - mask)));
  EXPECT_EQ(known.sizes(), at::IntArrayRef({kCount, 4, 4, 4}));
  EXPECT_TRUE(at::equal(known.narrow(1, 0, 3), x1 * mask));
  EXPECT_TRUE(at::equal(known.narrow(1, 3, 1), mask));
}

/// The weight makes of the mean over all elements the mean over the unknown ones.
TEST(Mask, WeighsTheUnknownElements) {
  at::Tensor mask = at::ones({3, 1, 2, 2});
  mask[0][0][0][0] = 0;
  mask[1] = 0;
  const at::Tensor weight = unknown_weight(mask);
  EXPECT_EQ(weight[0].item<float>(), 4);
  EXPECT_EQ(weight[1].item<float>(), 1);
  EXPECT_EQ(weight[2].item<float>(), 0);  // nothing is asked
}

TEST(Mask, RefusesOtherLaws) {
  EXPECT_TRUE(MaskLaw::parse("none").none());
  for (const char* law : {"", "circle", "pixels", "pixels:", "pixels:1", "pixels:-0.1"}) {
    EXPECT_THROW(MaskLaw::parse(law), core::Error) << law;
  }
}

}  // namespace
}  // namespace pathline::flow
