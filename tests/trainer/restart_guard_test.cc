// SPDX-License-Identifier: Apache-2.0
#include "trainer/restart_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <stdexcept>

#include "checkpoint/checkpoint.h"
#include "cluster/agree.h"
#include "cluster/self_communicator.h"
#include "core/error.h"
#include "tests/support/temporary_directory.h"

namespace pathline::trainer {
namespace {

using testing::AllOf;
using testing::HasSubstr;

cluster::Environment holding(std::map<std::string, std::string> variables) {
  return [variables](const std::string& name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
}

TEST(RestartGuard, CountsRestartsThatFindNoNewerCheckpoint) {
  RestartRecord record = count_start({}, false, -1);
  EXPECT_EQ(record.restarts, 0);
  for (int restart = 1; restart <= 5; ++restart) {
    record = count_start(record, true, -1);
    EXPECT_EQ(record.restarts, restart);
  }
  record = count_start(record, true, 0);  // a checkpoint before the first step is a newer one
  EXPECT_EQ(record.restarts, 0);
  record = count_start(record, true, 0);
  EXPECT_EQ(record.restarts, 1);
  record = count_start(record, true, 40);
  EXPECT_EQ(record.restarts, 0);
  record = count_start(record, true, 20);  // the newest was damaged
  EXPECT_EQ(record.restarts, 1);
  record = count_start(record, true, 30);
  EXPECT_EQ(record.restarts, 0);
}

TEST(RestartGuard, AStartByHandCountsAnew) {
  const RestartRecord stuck{7, 40};
  EXPECT_EQ(count_start(stuck, false, 40).restarts, 0);
  EXPECT_EQ(count_start(stuck, true, 40).restarts, 8);
}

TEST(RestartGuard, KnowsARestartBySlurmAndByTheSupervisor) {
  EXPECT_FALSE(is_restart(holding({})));
  EXPECT_FALSE(is_restart(holding({{"SLURM_RESTART_COUNT", "0"}, {"PATHLINE_RESTART", "0"}})));
  EXPECT_TRUE(is_restart(holding({{"SLURM_RESTART_COUNT", "1"}})));
  EXPECT_TRUE(is_restart(holding({{"PATHLINE_RESTART", "2"}})));
}

class GuardedRun : public testing::Test {
 protected:
  /// The exit code of a start.
  int start(bool restart, std::int64_t limit = 2) {
    const auto environment = holding({{"SLURM_RESTART_COUNT", restart ? "1" : "0"}});
    try {
      guard_restarts(files_, directory_.path(), directory_ / "checkpoints", limit, *ranks_, environment);
    } catch (const core::Error& error) {
      said_ = error.what();
      return static_cast<int>(error.code());
    }
    return 0;
  }

  void save(std::uint64_t step) {
    checkpoint::State state;
    state.step = step;
    checkpoint::save(files_, directory_ / "checkpoints", state, {}, {}, 1, {});
  }

  core::PosixFileSystem files_;
  tests::TemporaryDirectory directory_;
  std::unique_ptr<cluster::Communicator> ranks_ = cluster::make_self_communicator();
  std::string said_;
};

TEST_F(GuardedRun, EndsWith65AfterTheLimitAndNotForAStartByHand) {
  EXPECT_EQ(start(false), 0);
  EXPECT_EQ(start(true), 0);
  EXPECT_EQ(start(true), 0);
  EXPECT_EQ(start(true), 65);
  EXPECT_THAT(said_, AllOf(HasSubstr("without any checkpoint"), HasSubstr("2 restarts"), HasSubstr("log.txt"),
                           HasSubstr("by hand")));
  EXPECT_EQ(start(true), 65);
  EXPECT_EQ(start(false), 0);
  EXPECT_EQ(start(true), 0);
}

TEST_F(GuardedRun, ANewCheckpointIsProgress) {
  save(4);
  EXPECT_EQ(start(false), 0);
  for (std::uint64_t step = 5; step < 9; ++step) {
    EXPECT_EQ(start(true), 0);
    EXPECT_EQ(start(true), 0);
    save(step);
  }
  EXPECT_EQ(start(true), 0);
  EXPECT_EQ(start(true), 0);
  EXPECT_EQ(start(true), 0);
  EXPECT_EQ(start(true), 65);
}

TEST_F(GuardedRun, ALimitOfZeroNeverEndsARun) {
  for (int restart = 0; restart < 20; ++restart) EXPECT_EQ(start(true, 0), 0);
}

TEST_F(GuardedRun, ARecordThatCannotBeReadCountsFromZero) {
  for (int restart = 0; restart < 3; ++restart) start(true);
  for (const char* damage :
       {"", "{", "[]", "{\"format\":\"other\"}", "{\"format\":\"pathline-restarts\",\"version\":1,\"step\":\"x\"}"}) {
    core::replace_file(files_, directory_ / "restarts.json", damage);
    EXPECT_EQ(start(true), 0) << damage;
  }
}

/// The code and type that throw_to_be_started_again() leaves an error with.
template <class Thrown>
std::string after(const Thrown& error) {
  try {
    throw_to_be_started_again(error);
  } catch (const cluster::AgreedError& changed) {
    return core::concat("agreed ", static_cast<int>(changed.code()));
  } catch (const core::Error& changed) {
    return core::concat("alone ", static_cast<int>(changed.code()));
  }
  return "as it was";
}

TEST(ThrowToBeStartedAgain, WhatOneRankMetPassesAndWhatAllDecidedStays) {
  using core::ExitCode;
  EXPECT_EQ(after(core::Error(ExitCode::kEnvironment, "a read")), "alone 67");
  EXPECT_EQ(after(cluster::ToldError(ExitCode::kEnvironment, "a read of rank 3")), "agreed 67");
  EXPECT_EQ(after(cluster::AgreedError(ExitCode::kEnvironment, "no checkpoint can be written")), "as it was");
  EXPECT_EQ(after(cluster::ToldError(ExitCode::kInput, "a damaged file")), "as it was");
  EXPECT_EQ(after(core::Error(ExitCode::kUsage, "a value")), "as it was");
  EXPECT_EQ(after(std::runtime_error("CUDA error: unspecified launch failure")), "alone 67");
  EXPECT_EQ(after(std::runtime_error("CUDA out of memory")), "as it was");
}

}  // namespace
}  // namespace pathline::trainer
