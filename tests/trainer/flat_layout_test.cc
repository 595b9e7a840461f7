// SPDX-License-Identifier: Apache-2.0
#include "trainer/flat_layout.h"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "cluster/block_layout.h"

namespace pathline::trainer {
namespace {

std::vector<model::NamedTensor> three_tensors() {
  return {{"first", at::zeros({3, 5})}, {"second", at::zeros({4096})}, {"last", at::zeros({7})}};
}

TEST(FlatLayout, PutsTheLastExecutedFirstOnVectorBoundaries) {
  const FlatLayout layout = flat_layout(three_tensors(), 1 << 20);
  ASSERT_EQ(layout.tensors.size(), 3u);
  EXPECT_EQ(layout.tensors[0].name, "last");
  EXPECT_EQ(layout.tensors[0].offset, 0u);
  EXPECT_EQ(layout.tensors[1].name, "second");
  EXPECT_EQ(layout.tensors[1].offset, 16u);
  EXPECT_EQ(layout.tensors[2].name, "first");
  EXPECT_EQ(layout.tensors[2].offset, 16u + 4096);
  EXPECT_EQ(layout.elements, 2 * cluster::kBlock);
}

TEST(FlatLayout, ABucketEndsWithTheTensorThatFillsItAndIsPaddedToBlocks) {
  const FlatLayout layout = flat_layout(three_tensors(), 4096);
  ASSERT_EQ(layout.buckets.size(), 2u);
  EXPECT_EQ(layout.buckets[0].range, (cluster::Range{0, 2 * cluster::kBlock}));
  EXPECT_EQ(layout.buckets[0].last_tensor, 2u);
  EXPECT_EQ(layout.buckets[1].range, (cluster::Range{2 * cluster::kBlock, 3 * cluster::kBlock}));
  EXPECT_EQ(layout.tensors[2].offset, 2 * cluster::kBlock);
  EXPECT_EQ(layout.tensors[2].bucket, 1u);
  EXPECT_EQ(layout.elements, 3 * cluster::kBlock);
}

TEST(FlatLayout, EveryTensorHasABucketOfItsOwnIfTheyAreSmall) {
  const FlatLayout layout = flat_layout(three_tensors(), 1);
  EXPECT_EQ(layout.buckets.size(), 3u);
  for (std::size_t t = 0; t < 3; ++t) EXPECT_EQ(layout.tensors[t].bucket, t);
}

TEST(FlatLayout, OverlapsOfAllShardsCoverEveryTensorOnce) {
  const FlatLayout layout = flat_layout(three_tensors(), 1 << 20);
  for (const auto& tensor : layout.tensors) {
    std::size_t covered = 0;
    for (std::size_t begin = 0; begin < layout.elements; begin += 100) {
      const Overlap part = overlap(tensor, {begin, std::min(begin + 100, layout.elements)});
      if (part.count == 0) continue;
      EXPECT_EQ(part.in_tensor, covered);
      EXPECT_EQ(part.in_buffer, tensor.offset + covered);
      covered += part.count;
    }
    EXPECT_EQ(covered, tensor.elements);
  }
}

}  // namespace
}  // namespace pathline::trainer
