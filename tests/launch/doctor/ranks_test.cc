// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "cluster/thread_communicator.h"
#include "launch/doctor/judge_ranks.h"
#include "launch/doctor/mail.h"
#include "launch/doctor/reach.h"

namespace pathline::doctor {
namespace {

using testing::HasSubstr;

cluster::Environment variables(std::map<std::string, std::string> all) {
  return [all](const std::string& name) -> const char* {
    const auto found = all.find(name);
    return found == all.end() ? nullptr : found->second.c_str();
  };
}

Line judged(std::map<std::string, std::string> all, int mpi_ranks, const std::vector<std::string>& hosts = {}) {
  return judge_ranks(launch_of(variables(std::move(all))), mpi_ranks, hosts);
}

TEST(DoctorRanks, AloneAndUnderEachLauncherIsGood) {
  EXPECT_EQ(judged({}, 1).verdict, Verdict::kGood);
  const auto mpirun = judged({{"OMPI_COMM_WORLD_SIZE", "2"}, {"OMPI_COMM_WORLD_RANK", "1"}}, 2, {"a", "a"});
  EXPECT_EQ(mpirun.verdict, Verdict::kGood);
  EXPECT_EQ(mpirun.found, "2 on a, by mpirun");
  const auto srun =
      judged({{"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_NTASKS", "4"}, {"PMIX_RANK", "0"}}, 4, {"a", "b", "a", "b"});
  EXPECT_EQ(srun.verdict, Verdict::kGood);
  EXPECT_EQ(srun.found, "4 on 2 hosts, 2 on each, by srun");
}

TEST(DoctorRanks, RanksThatEachThinkTheyAreAloneAreBroken) {
  const auto no_pmix = judged({{"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_NTASKS", "4"}}, 1);
  EXPECT_EQ(no_pmix.verdict, Verdict::kBroken);
  EXPECT_THAT(no_pmix.advice, HasSubstr("--mpi=pmix"));
  const auto other_mpi = judged({{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}}, 1);
  EXPECT_EQ(other_mpi.verdict, Verdict::kBroken);
  EXPECT_THAT(other_mpi.found, HasSubstr("started 2 processes, but MPI counts 1"));
}

TEST(DoctorRanks, FewerThanTheAllocationHasTasksIsSlowUnlessOneAHost) {
  const std::map<std::string, std::string> all = {{"OMPI_COMM_WORLD_SIZE", "2"}, {"SLURM_NTASKS", "8"}};
  EXPECT_EQ(judged(all, 2, {"a", "a"}).verdict, Verdict::kSlow);
  EXPECT_EQ(judged(all, 2, {"a", "b"}).verdict, Verdict::kGood);
}

TEST(DoctorRanks, TheOnesThatHaveNotComeAreNamed) {
  const std::vector<int> arrived = {0, 2, 3};
  EXPECT_THAT(judge_missing(5, arrived, 20, "runs").found, HasSubstr("ranks 1, 4 of 5 have not come"));
  const std::vector<int> all = {0, 1};
  EXPECT_THAT(judge_missing(2, all, 20, "runs").found, HasSubstr("all 2 ranks have come"));
}

TEST(DoctorReach, EveryPairIsKnockedAtFromBothSides) {
  for (const int ranks : {1, 2, 5, 64, 65, 300}) {
    for (int r = 0; r < ranks; ++r) {
      const auto partners = partners_of(r, ranks);
      EXPECT_EQ(partners.size() == static_cast<std::size_t>(ranks - 1), ranks <= 64);
      EXPECT_LE(partners.size(), 64u);
      for (const int other : partners) {
        EXPECT_NE(other, r);
        EXPECT_THAT(partners_of(other, ranks), testing::Contains(r));
      }
    }
  }
}

TEST(DoctorReach, NamesASilentRankAndPairsThatAreApart) {
  const Knocks whole{std::vector<bool>(3, true), std::vector<bool>(3, true)};
  const std::vector<std::string> hosts = {"a", "b", "c"};
  std::vector<Knocks> all(3, whole);
  EXPECT_EQ(judge_reach(all, hosts, 5).verdict, Verdict::kGood);
  all[2].heard[1] = false;
  const Line apart = judge_reach(all, hosts, 5);
  EXPECT_EQ(apart.verdict, Verdict::kBroken);
  EXPECT_EQ(apart.found, "no message passes between rank 1 on b and rank 2 on c");
  all[2] = {};
  all[0].taken[2] = false;
  EXPECT_THAT(judge_reach(all, hosts, 5).found, HasSubstr("rank 2 on c does not answer"));
}

TEST(DoctorReach, AllRanksAgreeThatAllIsWell) {
  for (const int size : {2, 3, 5}) {
    cluster::run_on_threads(size, [&](cluster::Communicator& ranks) {
      Mail mail(ranks);
      const auto reach = find_reach(mail, ranks.rank(), size, 60, {});
      EXPECT_TRUE(reach.well);
      EXPECT_EQ(reach.line.has_value(), ranks.rank() == 0);
      ranks.barrier();  // a Mail may not go while others still knock
    });
  }
}

TEST(DoctorReach, LinesOfAnyLengthGetToRank0) {
  cluster::run_on_threads(3, [&](cluster::Communicator& ranks) {
    Mail mail(ranks);
    Line line = good("memory", std::string(20000 + ranks.rank(), 'x'));
    line.rank = ranks.rank();
    if (ranks.rank() > 0) {
      EXPECT_TRUE(deliver(mail, {line, line}, 60));
    } else {
      const auto lines = collect_lines(mail, 3, 60);
      ASSERT_EQ(lines.size(), 4u);
      for (const Line& came : lines) EXPECT_EQ(came.found.size(), 20000u + static_cast<std::size_t>(came.rank));
    }
    ranks.barrier();
  });
}

TEST(DoctorReach, ARankThatDoesNotReportIsNamed) {
  cluster::run_on_threads(3, [&](cluster::Communicator& ranks) {
    Mail mail(ranks);
    if (ranks.rank() == 1) mail.send(0, Kind::kLines, "");
    ranks.barrier();
    if (ranks.rank() == 0) {
      const auto lines = collect_lines(mail, 3, 0.01);
      ASSERT_EQ(lines.size(), 1u);
      EXPECT_EQ(lines[0].verdict, Verdict::kBroken);
      EXPECT_THAT(lines[0].found, HasSubstr("rank 2 has not reported"));
    }
    ranks.barrier();
  });
}

TEST(DoctorClocks, ASecondIsSlowAMinuteIsBroken) {
  const std::vector<std::string> hosts = {"a", "b"};
  EXPECT_EQ(judge_clocks(std::vector<double>{0, -0.2}, hosts).verdict, Verdict::kGood);
  EXPECT_EQ(judge_clocks(std::vector<double>{0, 2}, hosts).verdict, Verdict::kSlow);
  const Line line = judge_clocks(std::vector<double>{0, -100}, hosts);
  EXPECT_EQ(line.verdict, Verdict::kBroken);
  EXPECT_THAT(line.found, HasSubstr("rank 1 on b"));
}

TEST(DoctorAllReduce, IsJudgedByTheLink) {
  AllReduce seen{
      .ranks = 8, .hosts = 2, .latency_seconds = 20e-6, .bytes_per_second = 1e9, .link_bytes_per_second = 1.25e9};
  EXPECT_EQ(judge_all_reduce(seen).verdict, Verdict::kGood);
  seen.link_bytes_per_second = 12.5e9;
  EXPECT_EQ(judge_all_reduce(seen).verdict, Verdict::kSlow);
  seen.link_bytes_per_second = 1.25e9;
  seen.latency_seconds = 0.01;
  EXPECT_EQ(judge_all_reduce(seen).verdict, Verdict::kSlow);
}

}  // namespace
}  // namespace pathline::doctor
