// SPDX-License-Identifier: Apache-2.0
#include "data/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/random.h"
#include "data/sample_order.h"

namespace pathline::data {
namespace {

constexpr std::int64_t kCount = 23;

/// 23 images of 2 x 3 x 3; byte i of image n is 18 n + i, modulo 256.
std::unique_ptr<ShardSource> images() {
  SetInfo info;
  info.count = kCount, info.height = 2, info.width = 3, info.channels = 3, info.classes = 4;
  std::vector<std::byte> bytes(kCount * info.item_bytes());
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i & 0xff);
  std::vector<std::int64_t> labels(kCount);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::int64_t>(i % 4);
  return source_in_memory(info, bytes, labels);
}

Order keyed_order() {
  return one_by_one([](std::uint64_t position) { return SampleOrder(7, kCount).sample(position); });
}

LoaderOptions options(std::int64_t batch = 10) {
  LoaderOptions options;
  options.batch = batch, options.last = batch, options.seed = 7, options.flip = true;
  return options;
}

/// All that a batch says but how long it took.
struct Stream {
  std::vector<std::int64_t> samples, labels;
  std::vector<float> values;
  bool operator==(const Stream&) const = default;

  void add(const Batch& batch) {
    samples.insert(samples.end(), batch.samples.begin(), batch.samples.end());
    labels.insert(labels.end(), batch.labels.begin(), batch.labels.end());
    values.insert(values.end(), batch.values.begin(), batch.values.end());
  }
};

Stream take(Loader& loader, int batches) {
  Stream stream;
  for (int i = 0; i < batches; ++i) stream.add(loader.next());
  return stream;
}

Stream stream_of(const LoaderOptions& options, int batches) {
  const auto source = images();
  Loader loader(*source, keyed_order(), options);
  return take(loader, batches);
}

TEST(Loader, DeliversTheOrdersSamplesWithTheirLabelsAndPixels) {
  const auto source = images();
  LoaderOptions plain = options();
  plain.flip = false;
  Loader loader(*source, keyed_order(), plain);
  const SampleOrder order(7, kCount);
  for (std::uint64_t k = 0; k < 7; ++k) {
    const Batch batch = loader.next();
    EXPECT_EQ(batch.position, 10 * k);
    EXPECT_EQ(batch.first, 10 * k);
    EXPECT_GE(batch.waited_seconds, 0);
    ASSERT_EQ(batch.samples.size(), 10u);
    for (std::size_t i = 0; i < 10; ++i) {
      EXPECT_EQ(batch.samples[i], order.sample(10 * k + i));
      EXPECT_EQ(batch.labels[i], batch.samples[i] % 4);
      // (channel 2, row 1, column 0) is byte (1 * 3 + 0) * 3 + 2 of the item
      const std::int64_t byte = (18 * batch.samples[i] + 11) & 0xff;
      EXPECT_EQ(batch.values[i * 18 + 2 * 6 + 1 * 3 + 0], static_cast<float>(byte) * (1 / 127.5f) - 1);
    }
  }
}

TEST(Loader, PartsOfAllRanksTogetherAreThePartOfOne) {
  const Stream one = stream_of(options(), 6);
  for (const int ranks : {2, 3, 4, 7}) {
    const auto source = images();
    std::vector<std::unique_ptr<Loader>> loaders;
    for (int r = 0; r < ranks; ++r) {
      LoaderOptions part = options();
      part.first = 10 * r / ranks, part.last = 10 * (r + 1) / ranks;
      loaders.push_back(std::make_unique<Loader>(*source, keyed_order(), part));
    }
    Stream all;
    for (int k = 0; k < 6; ++k) {
      for (auto& loader : loaders) all.add(loader->next());
    }
    EXPECT_EQ(all, one) << ranks;
  }
}

TEST(Loader, RestartedAtAPositionGoesOnAsTheUnbrokenStream) {
  const auto source = images();
  Loader unbroken(*source, keyed_order(), options());
  take(unbroken, 4);
  LoaderOptions later = options();
  later.start = 40;
  EXPECT_EQ(take(unbroken, 5), stream_of(later, 5));
}

TEST(Loader, ThreadsAndDepthChangeNothing) {
  const Stream expected = stream_of(options(), 20);
  for (const int threads : {1, 2, 5}) {
    for (const int depth : {1, 3, 8}) {
      LoaderOptions other = options();
      other.threads = threads, other.depth = depth;
      EXPECT_EQ(stream_of(other, 20), expected) << threads << " threads, depth " << depth;
    }
  }
}

TEST(Loader, AnEmptyPartGivesEmptyBatchesInStep) {
  const auto source = images();
  LoaderOptions empty = options();
  empty.first = empty.last = 4;
  Loader loader(*source, keyed_order(), empty);
  for (std::uint64_t k = 0; k < 3; ++k) {
    const Batch batch = loader.next();
    EXPECT_EQ(batch.position, 10 * k);
    EXPECT_EQ(batch.first, 10 * k + 4);
    EXPECT_TRUE(batch.samples.empty());
    EXPECT_TRUE(batch.values.empty());
  }
}

TEST(Loader, MirrorsWhereTheKeyedBitOfThePositionSaysSo) {
  const auto source = images();
  Loader loader(*source, keyed_order(), options(16));
  const Batch batch = loader.next();
  // Bits of seed 7, purpose 2, place 0 at positions 0 to 15, by a second implementation (docs/formats/random.md).
  const std::vector<int> mirrored = {1, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0};
  std::vector<std::byte> item(18);
  std::vector<float> expected(18);
  for (std::size_t i = 0; i < 16; ++i) {
    source->read(batch.samples[i], item);
    to_values(source->info(), item, mirrored[i] != 0, expected);
    EXPECT_TRUE(
        std::equal(expected.begin(), expected.end(), batch.values.begin() + static_cast<std::ptrdiff_t>(18 * i)))
        << i;
  }
}

TEST(Loader, DequantizesBySeedPositionAndPlaceWithinTheLevel) {
  const auto source = images();
  LoaderOptions wanted = options(16);
  const Batch plain = Loader(*source, keyed_order(), wanted).next();
  wanted.dequantize = true;
  const Batch batch = Loader(*source, keyed_order(), wanted).next();
  std::vector<float> u(18);
  for (std::size_t i = 0; i < 16; ++i) {
    core::Draws(wanted.seed, i, core::Purpose::kDequantize).fill_uniform(u);
    for (std::size_t k = 0; k < 18; ++k) {
      const float level = plain.values[18 * i + k], value = batch.values[18 * i + k];
      EXPECT_NEAR(value, level + (u[k] - 0.5f) / 127.5f, 1e-7);
      EXPECT_LE(std::abs(value - level) * 127.5f, 0.5f + 1e-4f) << "it would round to another level";
    }
  }
  EXPECT_NE(batch.values, plain.values);
}

/// Fails for one sample, counts reads.
class FailingSource final : public ShardSource {
 public:
  FailingSource(std::unique_ptr<ShardSource> inner, std::int64_t bad) : inner_(std::move(inner)), bad_(bad) {}
  const SetInfo& info() const override { return inner_->info(); }
  std::int64_t label(std::int64_t index) const override { return inner_->label(index); }
  void read(std::int64_t index, std::span<std::byte> out) const override {
    ++reads;
    PL_CHECK(index != bad_, core::ExitCode::kInput, "sample ", index, " of a.h5 is broken");
    inner_->read(index, out);
  }
  mutable std::atomic<int> reads = 0;

 private:
  std::unique_ptr<ShardSource> inner_;
  std::int64_t bad_;
};

TEST(Loader, AFailingReadReachesTheReaderInItsTurn) {
  const SampleOrder order(7, kCount);
  const FailingSource source(images(), order.sample(15));
  LoaderOptions two = options();
  two.threads = 2;
  Loader loader(source, keyed_order(), two);
  EXPECT_EQ(loader.next().samples.size(), 10u);
  for (int again = 0; again < 2; ++again) {
    try {
      loader.next();
      FAIL() << "delivered a batch that cannot be read";
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kInput);
      EXPECT_EQ(std::string(error.what()), core::concat("sample ", order.sample(15), " of a.h5 is broken"));
    }
  }
}

TEST(Loader, PreparesNoMoreThanItsDepthAhead) {
  const FailingSource source(images(), -1);
  LoaderOptions few = options(1);
  few.threads = 3, few.depth = 2;
  {
    Loader loader(source, keyed_order(), few);
    for (int k = 0; k < 5; ++k) loader.next();
  }
  EXPECT_GE(source.reads, 5);
  EXPECT_LE(source.reads, 5 + 2);
}

TEST(Loader, IsDestroyedWithoutBeingRead) {
  const auto source = images();
  LoaderOptions many = options();
  many.threads = 4;
  for (int i = 0; i < 50; ++i) Loader(*source, keyed_order(), many);
}

TEST(Loader, RefusesFlipsOfPointsAndEmptySets) {
  SetInfo points;
  points.kind = ItemKind::kPoint, points.count = 1, points.channels = 2;
  const auto source = source_in_memory(points, std::vector<std::byte>(8), {});
  EXPECT_THROW(Loader(*source, keyed_order(), options()), core::Error);
  LoaderOptions dequantized;
  dequantized.batch = dequantized.last = 1;
  dequantized.dequantize = true;
  EXPECT_THROW(Loader(*source, keyed_order(), dequantized), core::Error);
  const auto nothing = source_in_memory(SetInfo{}, {}, {});
  EXPECT_THROW(Loader(*nothing, keyed_order(), options()), core::Error);
}

TEST(ToValues, MapsBytesOntoMinusOneToOneAndBack) {
  SetInfo info;
  info.width = 256, info.channels = 1;
  std::vector<std::byte> bytes(256);
  for (std::size_t i = 0; i < 256; ++i) bytes[i] = static_cast<std::byte>(i);
  std::vector<float> values(256), flipped(256);
  to_values(info, bytes, false, values);
  to_values(info, bytes, true, flipped);
  for (std::size_t i = 0; i < 256; ++i) {
    // One rounding of the product (below 2) and one of the difference: at most 2^-24 each, and 2 ulp for 1/127.5f.
    EXPECT_NEAR(values[i], static_cast<double>(i) / 127.5 - 1, 2.0e-7);
    EXPECT_GE(values[i], -1.0f);
    EXPECT_LE(values[i], 1.0f);
    EXPECT_EQ(std::lround((values[i] + 1) * 127.5f), static_cast<long>(i));
    EXPECT_EQ(flipped[255 - i], values[i]);
  }
}

TEST(ToValues, KeepsPointsBitForBit) {
  SetInfo info;
  info.kind = ItemKind::kPoint, info.channels = 3;
  const std::vector<float> point = {-1.25f, 1e-40f, 3e38f};
  std::vector<float> values(3);
  to_values(info, std::as_bytes(std::span(point)), false, values);
  EXPECT_EQ(values, point);
}

}  // namespace
}  // namespace pathline::data
