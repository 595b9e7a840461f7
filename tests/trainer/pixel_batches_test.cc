// SPDX-License-Identifier: Apache-2.0
// Batches of pixels, which a GPU makes numbers of, are the batches of numbers.
#include <gtest/gtest.h>

#include "data/loader.h"
#include "trainer/dataset.h"

namespace pathline::trainer {
namespace {

/// `channels` times every level of a byte, in images of 4 x 8.
std::unique_ptr<data::ShardSource> all_levels(std::int64_t channels) {
  data::SetInfo info;
  info.count = 16, info.height = 4, info.width = 8, info.channels = channels;
  std::vector<std::byte> bytes(16 * info.item_bytes());
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 7 & 0xff);
  return data::source_in_memory(info, bytes, {});
}

at::Tensor second_half(const data::ShardSource& source, bool pixels) {
  data::LoaderOptions options;
  options.batch = options.last = 16, options.flip = true, options.pixels = pixels;
  const auto in_turn = [](std::uint64_t position) { return static_cast<std::int64_t>(position % 16); };
  data::Loader loader(source, data::one_by_one(in_turn), options);
  data::Batch batch = loader.next();
  EXPECT_EQ(batch.values.empty(), pixels);
  return samples_of(batch, source.info(), 8, 8, at::kCPU).x1.clone();
}

TEST(PixelBatches, HaveTheBitsOfBatchesOfNumbers) {
  for (const std::int64_t channels : {1, 3, 4}) {
    const auto source = all_levels(channels);
    const at::Tensor values = second_half(*source, false), pixels = second_half(*source, true);
    EXPECT_EQ(pixels.sizes(), at::IntArrayRef({8, channels, 4, 8}));
    EXPECT_TRUE(pixels.equal(values)) << channels << " channels";
  }
}

}  // namespace
}  // namespace pathline::trainer
