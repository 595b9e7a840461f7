// SPDX-License-Identifier: Apache-2.0
#include "trainer/block_norms.h"

#include <gtest/gtest.h>

namespace pathline::trainer {
namespace {

TEST(BlockNorms, ABlockIsANameUpToItsFirstNumber) {
  EXPECT_EQ(block_of("blocks.3.attn.qkv.weight"), "blocks.3");
  EXPECT_EQ(block_of("blocks.12.mlp.fc1.bias"), "blocks.12");
  EXPECT_EQ(block_of("net.0.weight"), "net.0");
  EXPECT_EQ(block_of("input_blocks.4.1.norm.weight"), "input_blocks.4");
  EXPECT_EQ(block_of("final_layer.linear.bias"), "final_layer");
  EXPECT_EQ(block_of("scale"), "scale");
}

}  // namespace
}  // namespace pathline::trainer
