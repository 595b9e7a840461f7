// SPDX-License-Identifier: Apache-2.0
// Both ways of reading a checkpoint fill every rank's shard with the same, right bits, or fail on all ranks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "cluster/agree.h"
#include "core/error.h"
#include "tests/support/ranks.h"
#include "trainer/checkpoint_bridge.h"
#include "trainer/engine.h"

namespace pathline::trainer {
namespace {

/// A small network with tensors of many lengths, its state on these ranks, and a checkpoint of other numbers.
class Restoring {
 public:
  explicit Restoring(cluster::Communicator& ranks)
      : ranks_(ranks), directory_(tests::shared_temporary_directory(ranks, "restore")) {
    save();
  }

  static Recipe recipe() {
    Recipe recipe;
    recipe.model.name = "DiT";
    recipe.model.input_size = 8;
    recipe.model.input_channels = 1;
    recipe.model.classes = 3;
    recipe.model.patch = 4;
    recipe.model.hidden = 64;
    recipe.model.depth = 2;
    recipe.model.heads = 2;
    recipe.train.bucket_mb = 0.125;
    recipe.ema.decays = {0.5};
    return recipe;
  }

  /// Differs for every element of every tensor of every kind.
  static float stored(std::size_t record, std::size_t element) {
    return static_cast<float>(record * 100'000 + element) / 64;
  }

  void forget() {
    for (const auto& shard : engine_.state->shards()) {
      for (const auto& part : shard.parts) std::memset(part.mutable_data_ptr(), 0, part.nbytes());
    }
  }

  /// Elements of this rank's shard that are not the stored ones.
  std::size_t wrong() {
    std::size_t count = 0;
    const FlatLayout& layout = engine_.state->layout();
    for (const auto& shard : engine_.state->shards()) {
      for (std::size_t b = 0; b < layout.buckets.size(); ++b) {
        const cluster::Range own = engine_.state->exchange().map().own(b).range;
        const float* values = shard.parts[b].const_data_ptr<float>();
        for (std::size_t t = layout.buckets[b].first_tensor; t < layout.buckets[b].last_tensor; ++t) {
          const Overlap part = overlap(layout.tensors[t], own);
          const std::size_t record = index_.at(shard.kind + "/" + layout.tensors[t].name);
          for (std::size_t i = 0; i < part.count; ++i) {
            count += values[part.in_buffer - own.begin + i] != stored(record, part.in_tensor + i);
          }
        }
      }
    }
    return count;
  }

  std::string checkpoint() const { return directory_ + "/step-1"; }
  ShardedState& state() { return *engine_.state; }
  core::FileSystem& files() { return files_; }

 private:
  /// Rank 0 writes all of it, as a run on one rank would.
  void save() {
    const auto records = tensor_records(*engine_.state, model_->parameters(), {});
    std::vector<std::vector<float>> values;
    std::vector<checkpoint::SegmentBytes> segments;
    for (std::size_t r = 0; r < records.size() && ranks_.rank() == 0; ++r) {
      std::size_t elements = 1;
      for (const auto extent : records[r].shape) elements *= static_cast<std::size_t>(extent);
      auto& numbers = values.emplace_back(elements);
      for (std::size_t i = 0; i < elements; ++i) numbers[i] = stored(r, i);
      segments.push_back({records[r].kind, records[r].name, 0, elements, std::as_bytes(std::span(numbers))});
    }
    for (std::size_t r = 0; r < records.size(); ++r) index_[records[r].kind + "/" + records[r].name] = r;
    checkpoint::State state;
    state.step = 1;
    checkpoint::save(files_, directory_, state, records, segments, 1, collectives(ranks_));
  }

  cluster::Communicator& ranks_;
  std::string directory_;
  core::PosixFileSystem files_;
  const Recipe recipe_ = recipe();
  std::unique_ptr<model::VelocityModel> model_ = model::make_model(recipe_.model, 5);
  Engine engine_ = make_engine(recipe_, *model_, ranks_);
  std::map<std::string, std::size_t> index_;
};

TEST(Restore, GivesTheSameBitsByBothWays) {
  tests::each_rank([](cluster::Communicator& ranks) {
    Restoring run(ranks);
    const checkpoint::Reader reader(run.files(), run.checkpoint());
    restore_own_shard(run.state(), reader);
    EXPECT_EQ(run.wrong(), 0u);
    for (const std::size_t window : {std::size_t{64} << 20, std::size_t{40'000}, std::size_t{10'004}}) {
      run.forget();
      restore_by_broadcast(run.state(), reader, ranks, window);
      EXPECT_EQ(run.wrong(), 0u) << window;
    }
    run.forget();
    EXPECT_GT(run.wrong(), 0u);
  });
}

TEST(Restore, AFailedReadThrowsOnAllRanks) {
  tests::each_rank([](cluster::Communicator& ranks) {
    Restoring run(ranks);
    if (ranks.rank() == 0) {
      std::fstream file(run.checkpoint() + "/rank-0.safetensors", std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(-1, std::ios::end);  // in the last kind: reading has gone on for a while
      file.put('\x55');
    }
    ranks.barrier();
    const checkpoint::Reader reader(run.files(), run.checkpoint());
    try {
      restore_by_broadcast(run.state(), reader, ranks, 40'000);
      ADD_FAILURE() << "nothing failed";
    } catch (const cluster::AgreedError& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kInput);
      EXPECT_THAT(error.what(), testing::HasSubstr("rank-0.safetensors: piece "));
    }
  });
}

}  // namespace
}  // namespace pathline::trainer
