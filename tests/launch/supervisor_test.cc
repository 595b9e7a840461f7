// SPDX-License-Identifier: Apache-2.0
// Small shell programs in the place of mpirun; signals are tested on real runs (tests/integration/launch_local).
#include "launch/supervisor.h"

#include <gtest/gtest.h>

#include "tests/support/faulty_file_system.h"
#include "tests/support/temporary_directory.h"

namespace pathline::launch {
namespace {

class Supervised : public testing::Test {
 protected:
  int run(const std::string& script, const Patience& patience) { return run(script, patience, files_); }
  int run(const std::string& script, const Patience& patience, core::FileSystem& seen) {
    SupervisedRun run;
    run.command = {"/bin/sh", "-c", "cd '" + directory_.path() + "'\necho start >>starts\n" + script};
    run.checkpoints = directory_ / "checkpoints";
    run.patience = patience;
    return supervise(seen, run);
  }
  std::int64_t starts() { return static_cast<std::int64_t>(core::read_text(files_, directory_ / "starts").size()) / 6; }

  core::PosixFileSystem files_;
  tests::TemporaryDirectory directory_;
};

TEST_F(Supervised, ARunIsStartedAgainWhileItMakesProgress) {
  const int code =
      run("n=$(wc -l <starts)\nmkdir -p checkpoints/step-$n\n>checkpoints/step-$n/manifest.json\n"
          "[ $PATHLINE_RESTART = $((n - 1)) ] || exit 3\n[ $n -lt 6 ] || exit 0\nkill -9 $$",
          {true, 0, 1});
  EXPECT_EQ(code, 0);
  EXPECT_EQ(starts(), 6);
}

TEST_F(Supervised, ADirectoryWithoutManifestIsNoProgress) {
  const int code = run("n=$(wc -l <starts)\nmkdir -p checkpoints/step-$n\nexit 67", {true, 0, 1});
  EXPECT_EQ(code, 65);
  EXPECT_EQ(starts(), 2);
}

TEST_F(Supervised, StorageThatDoesNotSayWhatThereIsCountsAsNoProgressAndEndsNothing) {
  using tests::Fault;
  // One call before and one after a start, as there is no directory.
  tests::FaultyFileSystem seen(files_, {Fault{Fault::Kind::kError, 0}, Fault{Fault::Kind::kError, 3}});
  EXPECT_EQ(run("exit 67", {true, 0, 1}, seen), 65);
  EXPECT_EQ(starts(), 2);
}

TEST_F(Supervised, ACheckpointOfWhichItIsNotKnownSinceWhenIsNoProgress) {
  files_.make_directory(directory_ / "checkpoints/step-5");
  core::replace_file(files_, directory_ / "checkpoints/step-5/manifest.json", "{}");
  tests::FaultyFileSystem seen(files_, tests::Fault{tests::Fault::Kind::kError, 0});
  EXPECT_EQ(run("exit 67", {true, 0, 1}, seen), 65);
  EXPECT_EQ(starts(), 2);
}

TEST_F(Supervised, AProgramThatIsNotThereIsAnEnvironmentThatCannotBeUsed) {
  SupervisedRun run;
  run.command = {directory_ / "no-such-program"};
  run.checkpoints = directory_ / "checkpoints";
  run.patience = {true, 0, 3};
  EXPECT_EQ(supervise(files_, run), 4);
}

TEST_F(Supervised, StandardInputIsEmptySoThatNobodyWaitsForATerminal) {
  EXPECT_EQ(run("read line && exit 3\nexit 0", {false, 0, 3}), 0);
}

TEST_F(Supervised, TheNewestCheckpointIsTheOneWithTheHighestStepAndAManifest) {
  for (const char* name : {"step-9", "step-10", "step-11", "step-12.3.tmp", "aside-step-20.1", "step-x"}) {
    files_.make_directory(directory_ / ("c/" + std::string(name)));
  }
  for (const char* name : {"step-9", "step-10", "step-12.3.tmp", "aside-step-20.1", "step-x"}) {
    core::replace_file(files_, directory_ / ("c/" + std::string(name) + "/manifest.json"), "{}");
  }
  EXPECT_EQ(newest_checkpoint(files_, directory_ / "c"), 10);
  EXPECT_EQ(newest_checkpoint(files_, directory_ / "none"), -1);
}

}  // namespace
}  // namespace pathline::launch
