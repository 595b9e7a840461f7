// SPDX-License-Identifier: Apache-2.0
// The state machine: what errors and deaths do to samples, ranges and jobs.
#include "sampler/pool/dispatcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/pool/pool_fixture.h"

namespace pathline::pool {
namespace {

TEST(Dispatcher, LostLeasesCutARangeInTwoButParkNothing) {
  Pool pool;
  const std::int64_t job = pool.submit(16);
  const std::string who = pool.worker();
  std::int64_t smallest = 16;
  for (int i = 0; i < 40; ++i) {  // it lives and forgets: no death
    const auto lease = pool.dispatcher->lease(who);
    ASSERT_TRUE(lease);
    smallest = std::min(smallest, lease->last - lease->first);
    pool.pass(32, {{who, {}}});
    pool.expect_order(job);
  }
  EXPECT_EQ(smallest, 1);
  EXPECT_EQ(pool.dispatcher->job(job).parked, 0);
  pool.finish_all(who);
  EXPECT_EQ(pool.dispatcher->job(job).state, "completed");
}

TEST(Dispatcher, ASampleThatErrsThreeTimesIsParkedAndTheRestCompletes) {
  Pool pool;
  const std::int64_t job = pool.submit(50);
  const std::string who = pool.worker();
  constexpr std::int64_t kPoisoned = 21;
  std::vector<IdSpan> parked;
  while (const auto lease = pool.dispatcher->lease(who)) {
    const bool poisoned = !lease->assembly && lease->first <= kPoisoned && kPoisoned < lease->last;
    if (lease->assembly) parked = lease->parked;
    if (poisoned) {
      pool.dispatcher->report_error(who, lease->token, {"boom", false, -1});
    } else {
      pool.finish(who, *lease);
    }
    pool.expect_order(job);
  }
  const JobView view = pool.dispatcher->job(job);
  EXPECT_EQ(view.state, "completed");
  EXPECT_EQ(view.done, 49);
  EXPECT_EQ(view.parked, 1);
  EXPECT_EQ(parked, (std::vector<IdSpan>{{kPoisoned, kPoisoned + 1}}));
}

TEST(Dispatcher, AnErrorThatNamesItsSampleIsolatesItAtOnce) {
  Pool pool;
  const std::int64_t job = pool.submit(16);
  const std::string who = pool.worker();
  int errors = 0;
  while (const auto lease = pool.dispatcher->lease(who)) {
    if (!lease->assembly && lease->first <= 5 && 5 < lease->last) {
      pool.dispatcher->report_error(who, lease->token, {"boom", false, 5});
      ++errors;
    } else {
      pool.finish(who, *lease);
    }
    pool.expect_order(job);
  }
  EXPECT_EQ(errors, 3);
  EXPECT_EQ(pool.dispatcher->job(job).parked, 1);
  EXPECT_EQ(pool.dispatcher->job(job).state, "completed");
}

/// Cuts the job's 16 samples until sample 5 is leased alone.
std::optional<Lease> isolated(Pool& pool, const std::string& who) {
  auto lease = pool.dispatcher->lease(who);
  pool.dispatcher->report_error(who, lease->token, {"boom", false, 5});
  while ((lease = pool.dispatcher->lease(who))) {
    if (lease->first == 5) return lease;
    pool.finish(who, *lease);
  }
  return lease;
}

TEST(Dispatcher, TheDeathOfThreeDifferentWorkersParksASample) {
  Pool pool;
  pool.submit(16);
  const std::string first = pool.worker();
  ASSERT_TRUE(isolated(pool, first));
  pool.pass(32);
  for (int death = 0; death < 2; ++death) {
    EXPECT_EQ(pool.dispatcher->job(1).parked, 0);
    const std::string who = pool.worker();
    const auto lease = pool.dispatcher->lease(who);
    ASSERT_TRUE(lease);
    EXPECT_EQ(lease->first, 5);
    pool.pass(32);
  }
  EXPECT_EQ(pool.dispatcher->job(1).parked, 1);
}

TEST(Dispatcher, AWorkerThatIsHeardOfAgainHasNotDied) {
  Pool pool;
  pool.submit(16);
  const std::string first = pool.worker();
  ASSERT_TRUE(isolated(pool, first));
  pool.pass(32);
  for (int round = 0; round < 5; ++round) {
    const std::string who = pool.worker();
    const auto lease = pool.dispatcher->lease(who);
    ASSERT_TRUE(lease) << round;
    pool.pass(32);  // cut off ...
    EXPECT_EQ(pool.dispatcher->heartbeat(who, {{lease->token, 0}}),
              std::vector<std::int64_t>{lease->token});  // ... and back
    pool.dispatcher->leave(who);
  }
  EXPECT_EQ(pool.dispatcher->job(1).parked, 0);
}

TEST(Dispatcher, ASuspectIsHeldAlone) {
  Pool pool;
  pool.submit(64, "a.h5");
  const std::string who = pool.worker();
  const auto bad = pool.dispatcher->lease(who);
  pool.dispatcher->report_error(who, bad->token, {"boom", false, -1});
  // Fresh ranges first, fetched ahead; the suspect only when nothing else is held, and then nothing more.
  std::vector<Lease> fresh;
  for (int i = 0; i < 3; ++i) fresh.push_back(*pool.dispatcher->lease(who));
  EXPECT_FALSE(pool.dispatcher->lease(who));
  for (const Lease& lease : fresh) pool.finish(who, lease);
  const auto suspect = pool.dispatcher->lease(who);
  ASSERT_TRUE(suspect);
  EXPECT_EQ(suspect->first, bad->first);
  pool.submit(64, "b.h5");
  EXPECT_FALSE(pool.dispatcher->lease(who));
  EXPECT_TRUE(pool.dispatcher->lease(pool.worker()));
}

TEST(Dispatcher, AnAssemblyIsNotPutOffByWorkOfOtherJobs) {
  Pool pool;
  const std::int64_t small = pool.submit(16, "small.h5");
  const std::string who = pool.worker("avx2"), other = pool.worker("avx512");
  const auto samples = pool.dispatcher->lease(who);
  pool.submit(100000, "large.h5");
  const auto ahead = pool.dispatcher->lease(who);
  pool.finish(who, *samples);
  EXPECT_EQ(pool.dispatcher->job(small).state, "finalizing");
  EXPECT_FALSE(pool.dispatcher->lease(who));    // it holds something: nothing more until it is free
  EXPECT_FALSE(pool.dispatcher->lease(other));  // other kernels: neither this assembly nor the large job
  pool.finish(who, *ahead);
  const auto assembly = pool.dispatcher->lease(who);
  ASSERT_TRUE(assembly);
  EXPECT_TRUE(assembly->assembly);
}

TEST(Dispatcher, ThreeErrorsOfTheWholeJobFailIt) {
  Pool pool;
  pool.submit(1000);
  const std::string who = pool.worker();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(pool.dispatcher->job(1).state, i == 0 ? "queued" : "running");
    pool.dispatcher->report_error(who, pool.dispatcher->lease(who)->token, {"no such solver", true, -1});
  }
  EXPECT_EQ(pool.dispatcher->job(1).state, "failed");
  EXPECT_EQ(pool.dispatcher->job(1).error, "no such solver");
  EXPECT_FALSE(pool.dispatcher->lease(who));
}

TEST(Dispatcher, AJobWithoutOneGoodSampleFailsAndWritesNothing) {
  Pool pool;
  pool.submit(16);
  const std::string who = pool.worker();
  const auto lease = pool.dispatcher->lease(who);
  CommitReport report = pool.write(*lease);
  report.failed = 16;
  pool.dispatcher->commit(who, lease->token, report);
  EXPECT_EQ(pool.dispatcher->job(1).state, "failed");
  EXPECT_FALSE(pool.disk.exists("/out/set.h5"));
}

TEST(Dispatcher, AnAssemblyThatErrsThreeTimesFailsTheJob) {
  Pool pool;
  pool.submit(16);
  const std::string who = pool.worker();
  pool.finish(who, *pool.dispatcher->lease(who));
  for (int i = 0; i < 3; ++i) {
    const auto lease = pool.dispatcher->lease(who);
    ASSERT_TRUE(lease && lease->assembly);
    pool.dispatcher->report_error(who, lease->token, {"a part is damaged", false, -1});
  }
  EXPECT_EQ(pool.dispatcher->job(1).state, "failed");
}

TEST(Dispatcher, AFileThatTookTheOutputsNameStaysAndTheJobFails) {
  Pool pool;
  pool.submit(16);
  const std::string who = pool.worker();
  pool.finish(who, *pool.dispatcher->lease(who));
  const auto lease = pool.dispatcher->lease(who);
  ASSERT_TRUE(lease && lease->assembly);
  core::replace_file(pool.disk, "/out/set.h5", "somebody's");
  EXPECT_EQ(status_of([&] { pool.finish(who, *lease); }), 409);
  EXPECT_EQ(core::read_text(pool.disk, "/out/set.h5"), "somebody's");
  EXPECT_EQ(pool.dispatcher->job(1).state, "failed");
  EXPECT_NE(pool.dispatcher->job(1).error.find("/out/set.h5 appeared"), std::string::npos);
  pool.start();  // nothing is left to replay
  pool.dispatcher->tick();
  EXPECT_EQ(core::read_text(pool.disk, "/out/set.h5"), "somebody's");
}

}  // namespace
}  // namespace pathline::pool
