// SPDX-License-Identifier: Apache-2.0
// What the scripts say; what they do is in tests/integration/launch_slurm.
#include "launch/slurm_script.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/file_system.h"

namespace pathline::launch {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string golden(const std::string& name) {
  core::PosixFileSystem files;
  return core::read_text(files, core::join_path(PATHLINE_GOLDEN, name));
}

SlurmJob job() {
  SlurmJob job;
  job.name = "shapes";
  job.directory = "/work/it's mine";
  job.pathline = "/opt/pathline/bin/pathline";
  job.recipe = "/work/it's mine/shapes.toml";
  job.run_directory = "runs/shapes";
  job.sets = {"train.steps=5", "run.directory=runs/shapes"};
  return job;
}

TEST(SlurmScript, OfATrainingRunOnGpusOfAConfiguredSite) {
  SlurmJob training = job();
  training.after = "123";
  Site site;
  site.slurm.nodes = "2";
  site.slurm.gpus_per_node = 8;
  site.slurm.cpus_per_task = 12;
  site.slurm.time = "24:00:00";
  site.slurm.partition = "gpu";
  site.slurm.options = {"--exclusive"};
  site.network = {"ib", "ib0"};
  site.surroundings.setup = {"module load openmpi/4.1"};
  site.surroundings.image = "/images/pathline.sif";
  site.surroundings.container_command = {"apptainer", "exec", "--nv"};
  EXPECT_EQ(batch_script(training, site), golden("training.sbatch"));
}

TEST(SlurmScript, OfAnArrayThatMakesSamplesOnProcessorsUnderSrun) {
  SlurmJob generation = job();
  generation.generation = Generation{8, 50000, "out/fake.h5", {"--checkpoint", "runs/shapes", "--labels", "0-9"}};
  Site site;
  site.slurm.launcher = "srun";
  site.slurm.ranks_per_node = 4;
  site.slurm.preflight = false;
  EXPECT_EQ(batch_script(generation, site), golden("generation.sbatch"));
}

TEST(SlurmScript, ADependencyOfAnotherKindIsTakenAsItIs) {
  SlurmJob later = job();
  later.after = "afterok:7?afterok:8";
  EXPECT_THAT(batch_script(later, {}), HasSubstr("#SBATCH --dependency=\"afterok:7?afterok:8\"\n"));
  later.after = "";
  EXPECT_THAT(batch_script(later, {}), Not(HasSubstr("--dependency")));
}

TEST(SlurmScript, AnArrayIsNotAskedToStopBecauseItHasNoCheckpoint) {
  SlurmJob generation = job();
  generation.generation = Generation{2, 10, "fake.png", {}};
  EXPECT_THAT(batch_script(generation, {}), AllOf(HasSubstr("--array=0-1\n"), Not(HasSubstr("--signal="))));
}

TEST(SlurmScript, ARangeOfNodesLeavesTheNumberOfTasksOpenSoThatARequeuedJobCanDoWithFewer) {
  Site site;
  site.slurm.nodes = "1-2";
  site.slurm.ranks_per_node = 2;
  site.slurm.cpus_per_task = 3;
  EXPECT_THAT(batch_script(job(), site),
              AllOf(HasSubstr("#SBATCH --nodes=1-2\n#SBATCH --mincpus=6\n"), HasSubstr(" --map-by ppr:2:node)\n"),
                    Not(HasSubstr("#SBATCH --ntasks"))));
  site.slurm.launcher = "srun";
  EXPECT_THAT(batch_script(job(), site), HasSubstr(" --ntasks-per-node=2)\n"));
}

TEST(SlurmScript, ALineBreakInADirectiveIsRefused) {
  SlurmJob broken = job();
  broken.name = "a\n#SBATCH --account=other";
  EXPECT_THROW(batch_script(broken, {}), core::Error);
}

}  // namespace
}  // namespace pathline::launch
