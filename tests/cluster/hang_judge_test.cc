// SPDX-License-Identifier: Apache-2.0
#include "cluster/hang_judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "cluster/nccl_communicator.h"
#include "cluster/slow_ranks.h"

namespace pathline::cluster {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const Deadlines kDeadlines{10, 20};  // 10 s in a step, 30 s elsewhere

/// A rank that answers at `now`, without progress for `stuck` seconds.
Sighting answering(std::int64_t step, Phase phase, std::int64_t collective, double stuck, double now = 1000) {
  Sighting seen;
  seen.record.step = step;
  seen.record.phase = phase;
  seen.record.collective = collective;
  seen.heard_at = now;
  seen.progress_at = now - stuck;
  return seen;
}

Sighting silent(std::int64_t step, Phase phase, std::int64_t collective, double since) {
  Sighting seen = answering(step, phase, collective, since);
  seen.heard_at = seen.progress_at;
  return seen;
}

std::vector<int> missing(const std::vector<Sighting>& ranks, const Deadlines& deadlines = kDeadlines) {
  const auto verdict = find_missing(ranks, deadlines, 1000);
  return verdict ? verdict->missing : std::vector<int>{};
}

TEST(FindMissing, TheRankThatIsBehindIsMissingAndNotThoseThatWaitForIt) {
  EXPECT_THAT(missing({answering(7, Phase::kReduce, 3, 11), answering(7, Phase::kCompute, 3, 11),
                       answering(7, Phase::kReduce, 3, 11)}),
              ElementsAre(1));
  EXPECT_THAT(missing({answering(8, Phase::kData, 3, 11), answering(7, Phase::kGather, 3, 11)}), ElementsAre(1));
}

TEST(FindMissing, NobodyIsAccusedBeforeTheDeadline) {
  EXPECT_THAT(missing({answering(7, Phase::kReduce, 3, 9.9), answering(7, Phase::kCompute, 3, 10)}), IsEmpty());
}

TEST(FindMissing, ASlowRankThatGoesOnIsNotMissingHoweverLongTheOthersWait) {
  EXPECT_THAT(missing({answering(7, Phase::kReduce, 3, 500), answering(7, Phase::kCompute, 3, 2)}), IsEmpty());
}

TEST(FindMissing, ThoseWhoWaitForALongPhaseHaveItsGrace) {
  EXPECT_THAT(missing({answering(7, Phase::kCheckpoint, 3, 29), answering(8, Phase::kReduce, 3, 29)}), IsEmpty());
  EXPECT_THAT(missing({answering(7, Phase::kCheckpoint, 3, 31), answering(8, Phase::kReduce, 3, 31)}), ElementsAre(0));
  EXPECT_THAT(missing({answering(0, Phase::kSetup, 0, 29), answering(1, Phase::kReduce, 0, 29)}), IsEmpty());
}

TEST(FindMissing, ARankThatDoesNotAnswerGoesBeforeOnesInTheSamePlace) {
  EXPECT_THAT(missing({answering(7, Phase::kReduce, 3, 11), silent(7, Phase::kReduce, 3, 11)}), ElementsAre(1));
  // Its last record may even be ahead of the others', who lag behind for another reason.
  EXPECT_THAT(missing({answering(7, Phase::kReduce, 2, 11), silent(7, Phase::kReduce, 3, 11)}), ElementsAre(1));
}

TEST(FindMissing, SilenceHasNoGrace) {
  EXPECT_THAT(missing({silent(0, Phase::kSetup, 0, 11), answering(9, Phase::kReduce, 30, 10.9)}), ElementsAre(0));
  EXPECT_THAT(missing({silent(0, Phase::kSetup, 0, 9), answering(9, Phase::kReduce, 30, 8.9)}), IsEmpty());
}

TEST(FindMissing, ASilentRankWhoseOthersGoOnIsMissingToo) {
  EXPECT_THAT(missing({answering(90, Phase::kCompute, 300, 0), silent(7, Phase::kCompute, 3, 11)}), ElementsAre(1));
}

TEST(FindMissing, AmongRanksInOnePhaseTheNumberOfCollectivesDecides) {
  EXPECT_THAT(missing({answering(7, Phase::kReduce, 5, 11), answering(7, Phase::kReduce, 4, 11),
                       answering(7, Phase::kReduce, 5, 11)}),
              ElementsAre(1));
}

TEST(FindMissing, ARankThatGoesOnIsNotNamedBesideOneThatIsStuckInTheSamePlace) {
  EXPECT_THAT(missing({answering(7, Phase::kCompute, 3, 1), answering(7, Phase::kCompute, 3, 11)}), ElementsAre(1));
}

TEST(FindMissing, WhereAllAreStuckInOnePlaceAllAreNamed) {
  EXPECT_THAT(missing({answering(7, Phase::kReduce, 3, 11), answering(7, Phase::kReduce, 3, 9)}), ElementsAre(0, 1));
}

TEST(FindMissing, ZeroSwitchesItOff) {
  EXPECT_THAT(missing({silent(7, Phase::kCompute, 3, 999)}, Deadlines{0, 0}), IsEmpty());
}

TEST(DescribeVerdict, NamesTheMissingRankItsPlaceAndWhoWaitsWhere) {
  const std::vector<Sighting> ranks = {answering(12, Phase::kReduce, 46, 11), silent(12, Phase::kCompute, 45, 12),
                                       answering(12, Phase::kReduce, 46, 11), answering(12, Phase::kGather, 46, 11)};
  const std::vector<RankName> names = {{"node1", 100}, {"node2", 411}, {"node3", 102}, {"node4", 103}};
  const std::string text = describe(*find_missing(ranks, kDeadlines, 1000), ranks, names, 1000);
  EXPECT_EQ(text,
            "rank 1 (pid 411 on node2) has not answered for 12 s, last seen in step 12, compute, collective 45. "
            "Waiting for it: rank 3 in step 12, gather, collective 46; ranks 0, 2 in step 12, reduce, collective 46");
}

TEST(DescribeVerdict, SaysWhetherTheRankStillAnswers) {
  const std::vector<Sighting> ranks = {answering(3, Phase::kCompute, 9, 10.5)};
  const std::string text =
      describe(*find_missing(ranks, kDeadlines, 1000), ranks, std::vector<RankName>{{"h", 1}}, 1000);
  EXPECT_EQ(text,
            "rank 0 (pid 1 on h) answers, but has been stuck in step 3, compute, collective 9 for 10 s. "
            "No other rank is waiting");
}

TEST(DescribeVerdict, AThousandMissingRanksAreOneParagraph) {
  const std::vector<Sighting> ranks(1000, answering(3, Phase::kReduce, 9, 11));
  const std::vector<RankName> names(1000, {"host", 1});
  const std::string text = describe(*find_missing(ranks, kDeadlines, 1000), ranks, names, 1000);
  EXPECT_THAT(text, HasSubstr("so are ranks 8-999"));
  EXPECT_LT(text.size(), 1200u);
}

TEST(RankRanges, RunsAreJoined) {
  EXPECT_EQ(rank_ranges(std::vector<int>{}), "");
  EXPECT_EQ(rank_ranges(std::vector<int>{4}), "4");
  EXPECT_EQ(rank_ranges(std::vector<int>{0, 1, 2, 5, 7, 8}), "0-2, 5, 7-8");
}

/// Records after `steps` steps of `seconds` each.
std::vector<RankRecord> after(std::int64_t steps, const std::vector<double>& seconds) {
  std::vector<RankRecord> records;
  for (const double one : seconds) {
    RankRecord record;
    record.timed_steps = steps;
    record.compute_seconds = 0.75 * one * static_cast<double>(steps);
    record.data_seconds = 0.25 * one * static_cast<double>(steps);
    records.push_back(record);
  }
  return records;
}

/// Ranks named over `windows` windows of 30 steps and 30 s.
std::vector<int> named(const std::vector<double>& seconds, int windows) {
  SlowRanks slow(seconds.size(), 30);
  std::vector<int> found;
  for (int i = 0; i <= windows; ++i) {
    for (const auto& finding : slow.look(after(30 * i, seconds), 30.0 * i)) found.push_back(finding.rank);
  }
  return found;
}

TEST(SlowRanks, ARankFarAboveTheMedianIsNamedOnce) {
  EXPECT_THAT(named({1, 1.1, 2.4, 0.9}, 10), ElementsAre(2));
  EXPECT_THAT(named({1, 3}, 10), ElementsAre(1));
}

TEST(SlowRanks, OrdinaryDifferencesAreNotNamed) { EXPECT_THAT(named({1, 1.2, 1.45, 0.5}, 10), IsEmpty()); }

TEST(SlowRanks, NotBeforeItLasted) {
  EXPECT_THAT(named({1, 1, 3}, SlowRanks::kWindows - 1), IsEmpty());
  EXPECT_THAT(named({1, 1, 3}, SlowRanks::kWindows), ElementsAre(2));
}

TEST(SlowRanks, AnInterruptionStartsTheCountAgain) {
  SlowRanks slow(3, 1);
  std::vector<RankRecord> records(3);
  double now = 0;
  const auto window = [&](double seconds_of_last) {
    for (int r = 0; r < 3; ++r) {
      records[r].timed_steps += 20;
      records[r].compute_seconds += 20 * (r == 2 ? seconds_of_last : 1);
    }
    return slow.look(records, now += 1);
  };
  slow.look(records, now);
  for (const double seconds : {3., 3., 1., 3., 3.}) EXPECT_THAT(window(seconds), IsEmpty());
  const auto found = window(3);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(describe(found[0]), "takes 3 times the median: compute 3 s against 1 s, data 0 s against 0 s for a sample");
}

TEST(SlowRanks, AWindowHasEnoughStepsOfEveryRank) {
  SlowRanks slow(2, 1);
  std::vector<RankRecord> records = after(0, {1, 9});
  for (int i = 0; i < 100; ++i) {
    EXPECT_THAT(slow.look(records, i), IsEmpty());
    records[0].timed_steps += 100;  // the other never finishes one
  }
}

TEST(Whereabouts, TimesOfUnequalPartsAreComparable) {
  Whereabouts here;
  here.set_work(1e9);  // a unit takes a billionth of what follows
  here.enter(Phase::kData, 1);
  here.enter(Phase::kCompute, 1);
  here.waiting(Phase::kGather, [&] { EXPECT_EQ(here.record().phase, Phase::kGather); });
  EXPECT_EQ(here.record().phase, Phase::kCompute);
  here.enter(Phase::kReduce);
  here.next_collective();
  const RankRecord record = here.record();
  EXPECT_EQ(record.timed_steps, 1);  // one step, though it was interrupted
  EXPECT_EQ(record.step, 1);
  EXPECT_EQ(record.phase, Phase::kReduce);
  EXPECT_EQ(record.collective, 1);
  EXPECT_EQ(record.progress, 6);
  EXPECT_GT(record.compute_seconds, 0);
  EXPECT_LT(record.compute_seconds, 1e-6);
}

TEST(NcclDeadlines, AreLongerThanTheWatchdogsAndWithoutOneThereIsNone) {
  EXPECT_EQ(deadlines_behind({3600, 1200}).call_seconds, 4860);
  EXPECT_EQ(deadlines_behind({10, 20}).call_seconds, NcclDeadlines{}.call_seconds);
  EXPECT_EQ(deadlines_behind({0, 1200}).call_seconds, std::numeric_limits<double>::infinity());
}

}  // namespace
}  // namespace pathline::cluster
