// SPDX-License-Identifier: Apache-2.0
// What all ranks together read: every sample as often as there were epochs, the same samples in every step, on any
// number of ranks, and when other ranks go on in the middle.
#include <gtest/gtest.h>
#include <hdf5.h>

#include <algorithm>
#include <map>
#include <memory>

#include "data/decoded_chunks.h"
#include "data/lane_order.h"
#include "data/loader.h"
#include "tests/support/temporary_directory.h"

namespace pathline::data {
namespace {

constexpr std::int64_t kCount = 230, kEach = 20, kBatch = 28, kSlices = 14, kHeldOut = 11;
constexpr std::int64_t kTraining = kCount - kHeldOut;

/// Images of four pixels, whose level is their number, in compressed chunks of `each`.
std::string make_store(const tests::TemporaryDirectory& directory, hsize_t each = kEach) {
  const std::string path = directory / "chunks.h5";
  const hsize_t shape[4] = {kCount, 2, 2, 1}, chunk[4] = {each, 2, 2, 1};
  std::vector<std::uint8_t> pixels(kCount * 4);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i / 4);
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const hid_t plan = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(4, shape, nullptr);
  H5Pset_chunk(plan, 4, chunk), H5Pset_deflate(plan, 1);
  const hid_t set = H5Dcreate2(file, "images", H5T_STD_U8LE, space, H5P_DEFAULT, plan, H5P_DEFAULT);
  H5Dwrite(set, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, pixels.data());
  H5Dclose(set), H5Sclose(space), H5Pclose(plan), H5Fclose(file);
  return path;
}

class Epochs : public ::testing::TestWithParam<bool> {
 protected:
  Epochs() : source_(open_source({make_store(directory_)})), hold_out_(4, kCount, kHeldOut) {
    if (GetParam()) {
      const Groups groups{source_->decoded_together(), kCount, kEach};
      lanes_ = std::make_unique<LaneOrder>(7, groups, hold_out_, kBatch, kSlices, 1);
      source_->decode_into(std::make_shared<DecodedChunks>(lane_bytes(groups, 4) * kSlices));
    }
  }

  Order order() const {
    return [this](std::uint64_t first, std::span<std::int64_t> samples) {
      if (lanes_) return lanes_->samples(first, samples);
      SampleOrder(7, kTraining).samples(first, samples);
      hold_out_.training_samples(samples);
    };
  }

  /// Appends what `ranks` ranks read in `steps` steps from `position` on: for every step the samples in order.
  void read(std::int64_t ranks, std::uint64_t position, std::int64_t steps,
            std::vector<std::vector<std::int64_t>>& read) const {
    std::vector<std::unique_ptr<Loader>> loaders;
    for (std::int64_t rank = 0; rank < ranks; ++rank) {
      LoaderOptions options;
      options.batch = kBatch;
      options.first = kSlices * rank / ranks * (kBatch / kSlices);
      options.last = kSlices * (rank + 1) / ranks * (kBatch / kSlices);
      options.start = position;
      options.threads = 2;
      if (lanes_) options.ahead = one_by_one([this](std::uint64_t at) { return lanes_->ahead(at); });
      loaders.push_back(std::make_unique<Loader>(*source_, order(), options));
    }
    for (std::int64_t step = 0; step < steps; ++step) {
      read.emplace_back();
      for (const auto& loader : loaders) {
        Batch batch = loader->next();
        for (std::size_t i = 0; i < batch.samples.size(); ++i) {
          read.back().push_back(batch.samples[i]);
          const float level = static_cast<float>(batch.samples[i]);
          ASSERT_EQ(batch.values[4 * i + i % 4], level * (1 / 127.5f) - 1) << "the pixel of another sample";
        }
        loader->give_back(std::move(batch));
      }
    }
  }

  tests::TemporaryDirectory directory_;
  std::unique_ptr<ShardSource> source_;
  HoldOut hold_out_;
  std::unique_ptr<LaneOrder> lanes_;
};

constexpr std::int64_t kSteps = kTraining;  // of 28 samples: 28 epochs exactly

TEST_P(Epochs, AreTheSameOnAnyRanksAndAfterStops) {
  std::vector<std::vector<std::int64_t>> alone;
  read(1, 0, kSteps, alone);
  std::map<std::int64_t, int> visits;
  for (const auto& step : alone) {
    for (const std::int64_t sample : step) ++visits[sample];
  }
  EXPECT_EQ(std::ssize(visits), kTraining);
  for (const auto& [sample, times] : visits) EXPECT_EQ(times, kBatch) << sample;

  for (const std::int64_t ranks : {2, 3, 4, 7}) {
    std::vector<std::vector<std::int64_t>> shared;
    read(ranks, 0, kSteps, shared);
    EXPECT_EQ(shared, alone) << ranks;
  }
  std::vector<std::vector<std::int64_t>> stopped;  // each start has read ahead when it is stopped
  const std::int64_t ranks[] = {3, 1, 7, 2};
  for (std::int64_t start = 0, step = 0; step < kSteps; ++start) {
    const std::int64_t steps = std::min<std::int64_t>(17, kSteps - step);
    read(ranks[start % 4], static_cast<std::uint64_t>(step * kBatch), steps, stopped);
    step += steps;
  }
  EXPECT_EQ(stopped, alone);
}

INSTANTIATE_TEST_SUITE_P(Order, Epochs, ::testing::Bool(),
                         [](const auto& lanes) { return lanes.param ? "InLanes" : "Shuffled"; });

TEST(EpochsInLanes, DecodeEveryChunkOnceAnEpoch) {
  const tests::TemporaryDirectory directory;
  const auto source = open_source({make_store(directory, 5)});
  const HoldOut all(4, kCount, 0);
  const Groups groups{source->decoded_together(), kCount, 5};
  ASSERT_EQ(groups.firsts.size(), 46u);
  const LaneOrder order(7, groups, all, 20, 4, 1);
  const auto store = std::make_shared<DecodedChunks>(lane_bytes(groups, 4) * 4);  // 12 of 46 chunks
  source->decode_into(store);
  LoaderOptions options;
  options.batch = options.last = 20;
  options.ahead = one_by_one([&](std::uint64_t at) { return order.ahead(at); });
  Loader loader(*source, one_by_one([&](std::uint64_t at) { return order.sample(at); }), options);
  for (int step = 0; step < 20 * 23 / 2; ++step) loader.give_back(loader.next());  // 20 epochs
  // At most as promised, and what was decoded ahead for the epoch that was not begun; at least what cannot have stayed
  // from one epoch to the next.
  EXPECT_LE(static_cast<double>(store->decoded()), 20 * 46 * order.amplification() + 12);
  EXPECT_GE(store->decoded(), 20u * (46 - 12));
}

}  // namespace
}  // namespace pathline::data
