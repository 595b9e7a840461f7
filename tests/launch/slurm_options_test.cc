// SPDX-License-Identifier: Apache-2.0
#include "launch/slurm_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "core/error.h"
#include "core/file_system.h"
#include "tests/support/temporary_directory.h"

namespace pathline::launch {
namespace {

using testing::HasSubstr;

class SiteFile : public testing::Test {
 protected:
  std::string write(const std::string& text) {
    core::PosixFileSystem files;
    core::replace_file(files, directory_ / "site.toml", text);
    return directory_ / "site.toml";
  }

  std::string refusal(const std::string& text, const std::vector<std::string>& sets = {}) {
    try {
      read_site(write(text), sets);
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kUsage);
      return error.what();
    }
    return "accepted";
  }

  tests::TemporaryDirectory directory_;
};

TEST_F(SiteFile, StandsBetweenTheCommandLineAndTheDefaults) {
  const Site site = read_site(write("[slurm]\nnodes = 3\npartition = \"gpu\"\n[network]\nmpi_interface = \"ib0\"\n"),
                              {"slurm.nodes=\"5\""});
  EXPECT_EQ(site.slurm.nodes, "5");        // command line
  EXPECT_EQ(site.slurm.partition, "gpu");  // site
  EXPECT_EQ(site.network.mpi_interface, "ib0");
  EXPECT_EQ(site.slurm.mem, "0");  // default
  EXPECT_EQ(site.slurm.launcher, "mpirun");
}

TEST_F(SiteFile, NeedNotExist) {
  EXPECT_EQ(read_site("", {}).slurm.nodes, "1");
  EXPECT_EQ(read_site(directory_ / "none.toml", {}).slurm.nodes, "1");
}

TEST_F(SiteFile, NamesTheNearestKeyForOneItDoesNotKnow) {
  EXPECT_THAT(refusal("[slurm]\npartitoin = \"gpu\"\n"), HasSubstr("slurm.partition"));
  EXPECT_THAT(refusal("[netwerk]\nx = 1\n"), HasSubstr("[network]"));
}

TEST_F(SiteFile, RefusesWhatSlurmCannotDo) {
  EXPECT_THAT(refusal("", {"slurm.nodes=\"two\""}), HasSubstr("nodes = two"));
  EXPECT_THAT(refusal("", {"slurm.nodes=\"2-\""}), HasSubstr("nodes = 2-"));
  EXPECT_THAT(refusal("", {"slurm.nodes=0"}), HasSubstr("nodes = 0"));
  EXPECT_THAT(refusal("", {"slurm.nodes=\"99999999999999999999\""}), HasSubstr("is no number of nodes"));
  EXPECT_THAT(refusal("", {"slurm.launcher=\"aprun\""}), HasSubstr("aprun"));
  EXPECT_THAT(refusal("", {"slurm.signal_lead=0"}), HasSubstr("signal_lead"));
  EXPECT_THAT(refusal("[slurm]\ngpus_per_node = 8\nranks_per_node = 4\n"), HasSubstr("contradict"));
  EXPECT_EQ(refusal("", {"slurm.nodes=\"2-4\""}), "accepted");
}

TEST_F(SiteFile, LiesWhereTheDesktopConventionSays) {
  ::setenv("XDG_CONFIG_HOME", "/etc/xdg", 1);
  EXPECT_EQ(site_file(), "/etc/xdg/pathline/site.toml");
  ::setenv("XDG_CONFIG_HOME", "relative", 1);  // to be ignored, says the convention
  ::setenv("HOME", "/home/me", 1);
  EXPECT_EQ(site_file(), "/home/me/.config/pathline/site.toml");
  ::unsetenv("XDG_CONFIG_HOME");
  EXPECT_EQ(site_file(), "/home/me/.config/pathline/site.toml");
}

TEST(SlurmOptions, RanksOnANodeAreItsGpusOrWhatIsAskedFor) {
  SlurmOptions slurm;
  EXPECT_EQ(slurm.tasks_per_node(), 1);
  slurm.ranks_per_node = 16;
  EXPECT_EQ(slurm.tasks_per_node(), 16);
  slurm.ranks_per_node = 0;
  slurm.gpus_per_node = 8;
  EXPECT_EQ(slurm.tasks_per_node(), 8);
  EXPECT_EQ(slurm.most_ranks(), 8);
  slurm.nodes = "2-4";
  EXPECT_EQ(slurm.most_ranks(), 32);
}

}  // namespace
}  // namespace pathline::launch
