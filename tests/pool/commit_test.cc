// SPDX-License-Identifier: Apache-2.0
// The dispatcher dies, or storage fails, at every call of every commit of a job, with power lost or not: in the end
// every sample is committed once.
#include <gtest/gtest.h>

#include "tests/pool/pool_fixture.h"

namespace pathline::pool {
namespace {

using tests::Fault;

struct Point {
  Fault fault;
  bool power_loss = false;
};

/// What a worker does with an answer that did not come: it asks again, and drops its file when it is refused.
void commit_as_worker(Pool& pool, const std::string& who, const Lease& lease, const CommitReport& report) {
  for (int attempt = 0; attempt < 3; ++attempt) {
    try {
      return pool.dispatcher->commit(who, lease.token, report);
    } catch (const Refused&) {
      return;
    } catch (const core::Error&) {
    }
  }
}

/// Makes a whole job while the storage of the first dispatcher has a fault at one call. Returns how many calls that one
/// made.
int run(const Point& point) {
  Pool pool;
  pool.submit(40);
  const std::string who = pool.worker();
  pool.start({point.fault});
  for (int rounds = 0; rounds < 100; ++rounds) {
    std::optional<Lease> lease;
    try {
      pool.dispatcher->tick();
      lease = pool.dispatcher->lease(who);
    } catch (const core::Error&) {  // a call of tick() met the fault
    }
    if (lease) commit_as_worker(pool, who, *lease, pool.write(*lease));
    if (pool.files->stopped()) {
      if (point.power_loss) pool.disk.lose_unsynced();
      pool.start();
    }
    if (!lease && pool.dispatcher->job(1).state == "completed") break;
    if (!lease) pool.pass(32, {{who, {}}});  // what an answer that did not come left leased
  }
  const int calls = pool.files->calls();
  const JobView job = pool.dispatcher->job(1);
  EXPECT_EQ(job.state, "completed");
  EXPECT_EQ(job.done, 40);
  EXPECT_EQ(job.parked, 0);
  EXPECT_EQ(core::read_text(pool.disk, "/out/set.h5"), "0-40");
  EXPECT_EQ(pool.disk.list("/out"), std::vector<std::string>{"set.h5"});
  std::int64_t next = 0;
  for (const RangeView& range : pool.dispatcher->ranges(1)) {
    EXPECT_EQ(range.first, next);
    EXPECT_EQ(range.state, "done");
    next = range.last;
  }
  EXPECT_EQ(next, 40);
  return calls;
}

TEST(Commit, EverySampleIsCommittedOnceWhereverTheDispatcherDiesOrStorageFails) {
  const int calls = run({});
  ASSERT_GT(calls, 20);
  for (int k = 0; k < calls; ++k) {
    for (const Point& point : {Point{{Fault::Kind::kStop, k}, false}, Point{{Fault::Kind::kStop, k}, true},
                               Point{{Fault::Kind::kError, k}, false}, Point{{Fault::Kind::kErrorAfter, k}, false}}) {
      SCOPED_TRACE(
          core::concat("call ", k, ", fault ", static_cast<int>(point.fault.kind), ", power loss ", point.power_loss));
      run(point);
      if (testing::Test::HasFailure()) return;
    }
  }
}

TEST(Commit, AnIntentWhoseFileVanishedIsMadeAgain) {
  Pool pool;
  pool.submit(16);
  const std::string who = pool.worker();
  const auto lease = pool.dispatcher->lease(who);
  const CommitReport report = pool.write(*lease);
  pool.start({{Fault::Kind::kStop, 3}});  // it looks at the file three times, records the intent, and dies
  EXPECT_THROW(pool.dispatcher->commit(who, lease->token, report), core::Error);
  pool.disk.remove(lease->path);
  pool.start();
  EXPECT_EQ(pool.dispatcher->job(1).done, 0);
  pool.finish_all(who);
  EXPECT_EQ(pool.dispatcher->job(1).state, "completed");
}

TEST(Commit, ADispatcherThatLostTheLockRenamesNothing) {
  Pool pool;
  pool.submit(16);
  const std::string who = pool.worker();
  DispatcherOptions options;
  options.pool = pool.directory.path();
  bool owner = false;
  options.still_owner = [&] { return owner; };
  pool.dispatcher = std::make_unique<Dispatcher>(*pool.files, options);
  const auto lease = pool.dispatcher->lease(who);
  const CommitReport report = pool.write(*lease);
  EXPECT_THROW(pool.dispatcher->commit(who, lease->token, report), core::Error);
  EXPECT_TRUE(pool.disk.exists(lease->path));
  owner = true;
  pool.dispatcher->commit(who, lease->token, report);
  EXPECT_FALSE(pool.disk.exists(lease->path));
}

TEST(Commit, AJobWhoseOutputsDirectoryIsGoneIsTidiedAllTheSame) {
  Pool pool;
  core::make_durable_directory(pool.disk, "/out/gone");
  pool.submit(16, "gone/set.h5");
  pool.finish_all(pool.worker());
  ASSERT_TRUE(pool.disk.exists(pool.directory / "jobs/1"));
  core::remove_tree(pool.disk, "/out/gone");
  pool.dispatcher->tick();
  EXPECT_FALSE(pool.disk.exists(pool.directory / "jobs/1"));
}

TEST(Commit, AJobThatCannotBeTidiedHoldsUpNoOther) {
  Pool pool;
  pool.submit(16, "a.h5");
  pool.submit(16, "b.h5");
  pool.finish_all(pool.worker());
  pool.start({{Fault::Kind::kError, 0}});  // the first look of the first tick
  pool.dispatcher->tick();
  EXPECT_TRUE(pool.disk.exists(pool.directory / "jobs/1"));
  EXPECT_FALSE(pool.disk.exists(pool.directory / "jobs/2"));
  pool.dispatcher->tick();
  EXPECT_FALSE(pool.disk.exists(pool.directory / "jobs/1"));
}

TEST(Commit, NeverReplacesMomentsNorWritesThemNowhere) {
  Pool pool;
  JobSpec spec;
  spec.checkpoint = "/runs/a";
  spec.output = "/out/set.h5";
  spec.count = 10;
  spec.options["moments"] = "/out/m.npz";
  pool.disk.create("/out/m.npz")->close();
  EXPECT_THROW(pool.dispatcher->submit(spec), Refused);
  spec.options["moments"] = "/nowhere/m.npz";
  EXPECT_THROW(pool.dispatcher->submit(spec), core::Error);
  spec.options["moments"] = "/out/n.npz";
  EXPECT_GT(pool.dispatcher->submit(spec), 0);
}

}  // namespace
}  // namespace pathline::pool
