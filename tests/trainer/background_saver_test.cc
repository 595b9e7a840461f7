// SPDX-License-Identifier: Apache-2.0
// Checkpoints beside training: whatever storage does, the loop goes on, and all ranks hear of the end in the same step.
#include "trainer/background_saver.h"

#include <gtest/gtest.h>

#include <ATen/TensorOperators.h>

#include "checkpoint/checkpoint.h"
#include "cluster/agree.h"
#include "cluster/control_word.h"
#include "cluster/thread_communicator.h"
#include "core/config.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/held_file_system.h"
#include "tests/support/memory_file_system.h"
#include "trainer/engine.h"

namespace pathline::trainer {
namespace {

const std::string kCheckpoints = "/run/checkpoints";

Recipe recipe() {
  core::Config config = core::Config::from_text(
      "[data]\npath = [\"none\"]\n[model]\nname = \"SiT\"\ninput_size = 8\ninput_channels = 3\nclasses = 4\npatch = 2\n"
      "hidden = 32\ndepth = 2\nheads = 2\n[train]\nbatch = 16\nslices = 4\n[ema]\ndecays = "
      "[0.9]\n[checkpoint]\nkeep_last = 2\n",
      "test");
  return read_recipe(config);
}

/// A rank of a run whose loop does nothing but save.
struct Rank {
  Rank(core::FileSystem& storage, cluster::Communicator& communicator)
      : files(storage),
        ranks(communicator),
        directory(files, "/run", ranks),
        model(model::make_model(what.model, 0)),
        engine(make_engine(what, *model, ranks)),
        control(ranks),
        saver(files, directory, what, *engine.state, model->parameters(), model->buffers(), ranks) {}

  void start(std::uint64_t step) {
    checkpoint::State progress;
    progress.step = step;
    saver.start(progress);
  }
  /// One turn of the loop.
  std::optional<SaveOutcome> turn() {
    const std::uint64_t word = control.collect().value_or(0);
    const auto outcome = saver.hear(word);
    control.publish(saver.flag());
    return outcome;
  }
  /// Turns until the save is over: how many, and how it ended.
  std::pair<int, SaveOutcome> turns_to_the_end() {
    for (int turns = 1;; ++turns) {
      if (const auto outcome = turn()) return {turns, *outcome};
    }
  }
  /// Doubles all that this rank owns (padding, which nobody stores, stays zero).
  void change_state() {
    for (const auto& shard : engine.state->shards()) {
      for (const auto& part : shard.parts) part.mul_(2.0);
    }
  }
  std::vector<float> own_numbers() {
    std::vector<float> all;
    for (const auto& shard : engine.state->shards()) {
      for (const auto& part : shard.parts)
        all.insert(all.end(), part.const_data_ptr<float>(), part.const_data_ptr<float>() + part.numel());
    }
    return all;
  }

  const Recipe what = recipe();
  core::FileSystem& files;
  cluster::Communicator& ranks;
  RunDirectory directory;
  std::unique_ptr<model::VelocityModel> model;
  Engine engine;
  cluster::ControlWord control;
  BackgroundSaver saver;
};

TEST(BackgroundSaver, LetsTheLoopGoOnWhileStorageHangs) {
  tests::MemoryFileSystem memory;
  tests::Hold hold;
  cluster::run_on_threads(3, [&](cluster::Communicator& communicator) {
    tests::HeldFileSystem hanging(memory, hold);
    // Only the last rank's storage hangs.
    Rank rank(communicator.rank() == 2 ? static_cast<core::FileSystem&>(hanging) : memory, communicator);
    if (communicator.rank() == 2) hold.hold();
    communicator.barrier();
    rank.start(7);
    if (communicator.rank() == 2) hold.wait_until_reached();
    for (int i = 0; i < 50; ++i) {
      ASSERT_FALSE(rank.turn().has_value());
      ASSERT_TRUE(rank.saver.under_way());
    }
    EXPECT_EQ(checkpoint::list(memory, kCheckpoints).size(), 0u);
    communicator.barrier();
    if (communicator.rank() == 2) hold.release();
    const auto [turns, outcome] = rank.turns_to_the_end();
    EXPECT_EQ(outcome.step, 7u);
    EXPECT_EQ(outcome.failure, "");
    EXPECT_FALSE(rank.saver.under_way());
    std::vector<std::int64_t> counted = {turns, -turns};
    communicator.all_reduce(std::span(counted), cluster::Reduction::kMax);
    EXPECT_EQ(counted[0], -counted[1]) << "ranks heard of it in different steps";
  });
  EXPECT_EQ(*checkpoint::newest_good(memory, kCheckpoints, [](const std::string&) {}), kCheckpoints + "/step-7");
}

/// A save on two ranks, call `k` of one rank's storage hanging for 20 turns of the loop. Returns how many calls there
/// were.
int save_with_a_hanging_call(int hanging_rank, int k) {
  tests::MemoryFileSystem memory;
  tests::Hold hold;
  hold.hold();
  int calls = 0;
  cluster::run_on_threads(2, [&](cluster::Communicator& communicator) {
    Rank rank(memory, communicator);
    tests::FaultyFileSystem storage(memory);
    const bool hangs = communicator.rank() == hanging_rank;
    storage.before_calls([&](int number, const std::string&) {
      if (hangs && number == k) hold.pass();
    });
    BackgroundSaver saver(storage, rank.directory, rank.what, *rank.engine.state, rank.model->parameters(),
                          rank.model->buffers(), communicator);
    checkpoint::State progress;
    progress.step = 1;
    saver.start(progress);
    if (hangs) hold.wait_until_reached();
    std::optional<SaveOutcome> outcome;
    for (int turn = 0; !outcome; ++turn) {
      if (turn == 20 && hangs) hold.release();
      ASSERT_TRUE(saver.under_way());
      outcome = saver.hear(rank.control.collect().value_or(0));
      rank.control.publish(saver.flag());
      ASSERT_TRUE(!outcome || turn > 20) << "over while storage hangs";
    }
    EXPECT_EQ(outcome->failure, "");
    if (hangs) calls = storage.calls();
  });
  EXPECT_EQ(*checkpoint::newest_good(memory, kCheckpoints, [](const std::string&) {}), kCheckpoints + "/step-1");
  return calls;
}

TEST(BackgroundSaver, LetsTheLoopGoOnAtWhicheverCallStorageHangs) {
  for (const int rank : {0, 1}) {
    const int calls = save_with_a_hanging_call(rank, 0);
    EXPECT_GT(calls, 5);
    for (int k = 1; k < calls && !testing::Test::HasFailure(); ++k) {
      SCOPED_TRACE(core::concat("rank ", rank, ", call ", k));
      save_with_a_hanging_call(rank, k);
    }
  }
}

TEST(BackgroundSaver, SaysWhichRankHoldsUpTheOthers) {
  tests::MemoryFileSystem memory;
  tests::Hold hold;
  cluster::run_on_threads(2, [&](cluster::Communicator& communicator) {
    tests::HeldFileSystem hanging(memory, hold);
    Rank rank(communicator.rank() == 1 ? static_cast<core::FileSystem&>(hanging) : memory, communicator);
    if (communicator.rank() == 1) hold.hold();
    communicator.barrier();
    EXPECT_EQ(rank.saver.stuck_seconds(), 0.0);
    rank.start(1);
    if (communicator.rank() == 1) {
      hold.wait_until_reached();
      EXPECT_GT(rank.saver.stuck_seconds(), 0.0);
    } else {
      while (rank.saver.stuck_seconds() > 0.0) {  // until its own part is written
      }
    }
    communicator.barrier();
    if (communicator.rank() == 1) hold.release();
    cluster::Whereabouts here;
    EXPECT_EQ(rank.saver.wait(here).failure, "");
    EXPECT_EQ(rank.saver.stuck_seconds(), 0.0);
  });
}

TEST(BackgroundSaver, StoresTheMomentOfTheStart) {
  tests::MemoryFileSystem memory;
  tests::Hold hold;
  cluster::run_on_threads(2, [&](cluster::Communicator& communicator) {
    tests::HeldFileSystem hanging(memory, hold);
    Rank rank(hanging, communicator);
    if (communicator.rank() == 0) hold.hold();
    communicator.barrier();
    const auto before = rank.own_numbers();
    rank.start(3);
    rank.change_state();
    communicator.barrier();
    hold.release();
    cluster::Whereabouts here;
    ASSERT_EQ(rank.saver.wait(here).failure, "");
    EXPECT_NE(rank.own_numbers(), before);
    restore_own_shard(*rank.engine.state, checkpoint::Reader(memory, kCheckpoints + "/step-3"));
    EXPECT_EQ(rank.own_numbers(), before);
  });
}

TEST(BackgroundSaver, SurvivesEveryFailureOfOneRanksStorage) {
  using tests::Fault;
  int failures = 0;
  for (int k = 0; k < 12; ++k) {
    tests::MemoryFileSystem memory;
    cluster::run_on_threads(2, [&](cluster::Communicator& communicator) {
      Rank rank(memory, communicator);
      rank.start(1);
      ASSERT_EQ(rank.turns_to_the_end().second.failure, "");
      tests::FaultyFileSystem faulty(memory, Fault{Fault::Kind::kError, k});
      BackgroundSaver saver(communicator.rank() == 1 ? static_cast<core::FileSystem&>(faulty) : memory, rank.directory,
                            rank.what, *rank.engine.state, rank.model->parameters(), rank.model->buffers(),
                            communicator);
      checkpoint::State progress;
      progress.step = 2;
      saver.start(progress);
      cluster::Whereabouts here;
      const SaveOutcome second = saver.wait(here);
      std::vector<std::int64_t> failed = {second.failure.empty() ? 0 : 1};
      communicator.all_reduce(std::span(failed), cluster::Reduction::kSum);
      EXPECT_TRUE(failed[0] == 0 || failed[0] == 2) << "ranks disagree";
      if (communicator.rank() == 0) {
        failures += second.failure.empty() ? 0 : 1;
        EXPECT_EQ(*checkpoint::newest_good(memory, kCheckpoints, [](const std::string&) {}),
                  kCheckpoints + (second.failure.empty() ? "/step-2" : "/step-1"));
      }
      communicator.barrier();
      progress.step = 3;  // the same saver goes on
      saver.start(progress);
      EXPECT_EQ(saver.wait(here).failure, "");
    });
    EXPECT_EQ(*checkpoint::newest_good(memory, kCheckpoints, [](const std::string&) {}), kCheckpoints + "/step-3");
  }
  EXPECT_GT(failures, 2);  // creating, writing, syncing, ...
}

TEST(BackgroundSaver, EndsARunWhoseDirectoryHasAnotherOwner) {
  tests::MemoryFileSystem memory;
  cluster::run_on_threads(2, [&](cluster::Communicator& communicator) {
    Rank rank(memory, communicator);
    if (communicator.rank() == 0) {
      for (const auto& name : memory.list("/run")) {
        if (name.find("lock") != std::string::npos) memory.remove("/run/" + name);
      }
    }
    communicator.barrier();
    rank.start(1);
    EXPECT_THROW(rank.turns_to_the_end(), cluster::AgreedError);
  });
  EXPECT_EQ(checkpoint::list(memory, kCheckpoints).size(), 0u);
}

}  // namespace
}  // namespace pathline::trainer
