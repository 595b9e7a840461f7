// SPDX-License-Identifier: Apache-2.0
#include "cluster/session.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <map>
#include <stdexcept>
#include <string>

#include "cluster/agree.h"
#include "core/error.h"

namespace pathline::cluster {
namespace {

using Variables = std::map<std::string, std::string>;

Environment environment_of(const Variables& variables) {
  return [&variables](const std::string& name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
}

bool started_with(const Variables& variables) { return started_by_launcher(environment_of(variables)); }
int place_with(const Variables& variables) { return local_place(environment_of(variables)); }

TEST(StartedByLauncher, KnowsMpirunAndSrun) {
  EXPECT_TRUE(started_with({{"OMPI_COMM_WORLD_SIZE", "4"}}));
  EXPECT_TRUE(started_with({{"PMIX_RANK", "0"}, {"SLURM_STEP_NUM_TASKS", "4"}}));
  EXPECT_TRUE(started_with({{"PMI_RANK", "0"}}));
}

TEST(StartedByLauncher, APlainStartIsAloneEvenInsideABatchScript) {
  EXPECT_FALSE(started_with({}));
  EXPECT_FALSE(started_with({{"SLURM_JOB_ID", "7"}, {"SLURM_NTASKS", "4"}, {"SLURM_PROCID", "0"}}));
  EXPECT_FALSE(started_with({{"SLURM_STEP_NUM_TASKS", "1"}}));
}

TEST(StartedByLauncher, RefusesTasksThatDoNotKnowOfEachOther) {
  try {
    started_with({{"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_PROCID", "2"}});
    FAIL() << "not refused";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kEnvironment);
    EXPECT_NE(std::string(error.what()).find("--mpi=pmix"), std::string::npos);
  }
}

TEST(LocalPlace, IsTheOneThatTheLauncherGave) {
  EXPECT_EQ(place_with({}), 0);
  EXPECT_EQ(place_with({{"SLURM_LOCALID", "3"}}), 3);
  EXPECT_EQ(place_with({{"MPI_LOCALRANKID", "1"}}), 1);
  EXPECT_EQ(place_with({{"OMPI_COMM_WORLD_LOCAL_RANK", "2"}, {"SLURM_LOCALID", "0"}}), 2);
}

/// A start without a launcher, also where these tests themselves were started by one.
class RunWithRanks : public testing::Test {
 protected:
  RunWithRanks() {
    for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"}) ::unsetenv(name);
    ::setenv("SLURM_STEP_NUM_TASKS", "1", 1);
  }
};

TEST_F(RunWithRanks, APlainStartHasOneRankAndReturnsTheBodysCode) {
  const int code = run_with_ranks([](Communicator& world) { return 10 * world.size() + world.rank(); });
  EXPECT_EQ(code, 10);
}

TEST_F(RunWithRanks, ErrorsBecomeTheirExitCodes) {
  const auto code_of = [](const auto& error) { return run_with_ranks([&](Communicator&) -> int { throw error; }); };
  EXPECT_EQ(code_of(core::Error(core::ExitCode::kInput, "bad file")), 3);
  EXPECT_EQ(code_of(AgreedError(core::ExitCode::kNumerical, "not finite")), 66);
  EXPECT_EQ(code_of(std::logic_error("our mistake")), 1);
}

}  // namespace
}  // namespace pathline::cluster
