// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "launch/doctor/host_probe.h"
#include "launch/doctor/judge_host.h"
#include "tests/support/temporary_directory.h"

namespace pathline::doctor {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

TEST(DoctorProcessors, AllRanksOnOneCoreIsBroken) {
  const Line line = judge_processors({.online = 8, .allowed = {{3}, {3}}});
  EXPECT_EQ(line.verdict, Verdict::kBroken);
  EXPECT_THAT(line.found, HasSubstr("all ranks are bound to core 3"));
  EXPECT_EQ(judge_processors({.online = 1, .allowed = {{0}, {0}}}).verdict, Verdict::kSlow);  // there is no other
}

TEST(DoctorProcessors, TooFewCoresForTheThreadsIsSlow) {
  EXPECT_EQ(judge_processors({.online = 8, .allowed = {{0, 1}, {2, 3}}, .threads = 2}).verdict, Verdict::kGood);
  EXPECT_EQ(judge_processors({.online = 8, .allowed = {{0, 1}, {2, 3}}, .threads = 3}).verdict, Verdict::kSlow);
  EXPECT_EQ(judge_processors({.online = 8, .allowed = {{0, 1, 2}, {3}}, .threads = 2}).verdict, Verdict::kSlow);
  EXPECT_EQ(judge_processors({.online = 8, .allowed = {{0, 1, 2, 3}}, .quota = 1.5, .threads = 2}).verdict,
            Verdict::kSlow);
  EXPECT_EQ(judge_processors({.online = 8, .allowed = {{0}}, .avx2 = false}).verdict, Verdict::kSlow);
}

TEST(DoctorMemory, TheControlGroupCountsNotTheHost) {
  Memory memory{.total = 512 * kGiB, .available = 400 * kGiB, .shared_free = kGiB, .ranks = 2, .rank_needs = 3 * kGiB};
  EXPECT_EQ(judge_memory(memory).verdict, Verdict::kGood);
  memory.group_limit = 7 * kGiB;
  EXPECT_EQ(judge_memory(memory).verdict, Verdict::kSlow);
  memory.group_used = 2 * kGiB;
  EXPECT_EQ(judge_memory(memory).verdict, Verdict::kBroken);
}

TEST(DoctorMemory, SharedMemoryOfAContainerIsTooSmallForManyRanks) {
  Memory memory{.shared_free = kGiB / 16, .ranks = 8};
  EXPECT_EQ(judge_shared_memory(memory).verdict, Verdict::kBroken);
  memory.ranks = 2;
  EXPECT_EQ(judge_shared_memory(memory).verdict, Verdict::kSlow);
  memory.ranks = 1;
  EXPECT_EQ(judge_shared_memory(memory).verdict, Verdict::kGood);
  EXPECT_EQ(judge_shared_memory({.shared_free = 0, .ranks = 2}).verdict, Verdict::kBroken);
}

TEST(DoctorMemory, TheSmallestLimitAboveAGroupHolds) {
  const tests::TemporaryDirectory root;
  const auto write = [&](const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root / path).parent_path());
    std::ofstream(root / path) << text;
  };
  write("memory.current", "99");
  write("job/memory.max", "4000");
  write("job/memory.current", "1500");
  write("job/step/memory.max", "max");
  write("job/cpu.max", "150000 100000");
  const GroupMemory memory = group_memory("0::/job/step\n", root.path());
  EXPECT_EQ(memory.limit, 4000u);
  EXPECT_EQ(memory.used, 1500u);
  EXPECT_EQ(group_cores("0::/job/step\n", root.path()), 1.5);
  EXPECT_FALSE(group_memory("0::/other\n", root.path()).limit);
  write("memory/slurm/memory.limit_in_bytes", "5000");
  write("memory/slurm/memory.usage_in_bytes", "7");
  EXPECT_EQ(group_memory("9:memory:/slurm\n4:cpu,cpuacct:/x\n", root.path()).limit, 5000u);
}

TEST(DoctorLimits, FilesTooShortForACheckpointAreBroken) {
  EXPECT_EQ(judge_limits({}).verdict, Verdict::kGood);
  EXPECT_EQ(judge_limits({.file_size = kGiB, .largest_file = 2 * kGiB}).verdict, Verdict::kBroken);
  EXPECT_EQ(judge_limits({.file_size = 4 * kGiB, .largest_file = 2 * kGiB}).verdict, Verdict::kGood);
  EXPECT_EQ(judge_limits({.open_files = 128}).verdict, Verdict::kBroken);
  EXPECT_EQ(judge_limits({.open_files = 512}).verdict, Verdict::kSlow);
  EXPECT_EQ(judge_limits({.locked_memory = 65536}).verdict, Verdict::kGood);
  EXPECT_EQ(judge_limits({.locked_memory = 65536, .infiniband = true}).verdict, Verdict::kBroken);
}

TEST(DoctorInterfaces, AVariableThatNamesNoInterfaceIsBroken) {
  EXPECT_EQ(judge_interfaces({.up = {"eth0", "ib0"}, .hosts = 2, .nccl = "ib", .mpi = "eth0"}).verdict, Verdict::kGood);
  EXPECT_EQ(judge_interfaces({.up = {"eth0"}, .nccl = "ib"}).verdict, Verdict::kBroken);
  EXPECT_EQ(judge_interfaces({.up = {"eth0"}, .nccl = "=eth"}).verdict, Verdict::kBroken);
  EXPECT_EQ(judge_interfaces({.up = {"eth0"}, .nccl = "^docker,lo"}).verdict, Verdict::kGood);
  EXPECT_EQ(judge_interfaces({.up = {"eth0"}, .mpi = "eth1"}).verdict, Verdict::kBroken);
  EXPECT_EQ(judge_interfaces({.up = {"eth0"}, .mpi = "10.0.0.0/8"}).verdict, Verdict::kGood);
}

TEST(DoctorInterfaces, ABridgeIsSlowWhereThereAreOtherHosts) {
  EXPECT_EQ(judge_interfaces({.up = {"docker0", "eth0"}, .hosts = 2}).verdict, Verdict::kSlow);
  EXPECT_EQ(judge_interfaces({.up = {"docker0", "eth0"}, .hosts = 2, .nccl = "eth0", .mpi = "eth0"}).verdict,
            Verdict::kGood);
  EXPECT_EQ(judge_interfaces({.up = {"docker0", "eth0"}}).verdict, Verdict::kGood);
  EXPECT_EQ(judge_interfaces({.up = {}, .hosts = 2}).verdict, Verdict::kBroken);
}

TEST(DoctorSlurm, SaysWhatIsMissingForGoingOnByItself) {
  const std::string text =
      "JobId=7 JobName=x Requeue=1 Restarts=0 NumNodes=2 TimeLimit=1-00:00:00 EndTime=2026-11-24T12:00:00";
  EXPECT_EQ(slurm_field(text, "Requeue"), "1");
  EXPECT_EQ(slurm_field(text, "Id"), "");
  EXPECT_EQ(judge_slurm({"7", text, 86400}).verdict, Verdict::kGood);
  EXPECT_EQ(judge_slurm({"7", "JobId=7 Requeue=0", 86400}).verdict, Verdict::kSlow);
  EXPECT_EQ(judge_slurm({"7", text, 300}).verdict, Verdict::kSlow);
  EXPECT_EQ(judge_slurm({"7", std::nullopt, std::nullopt}).verdict, Verdict::kSlow);
}

}  // namespace
}  // namespace pathline::doctor
