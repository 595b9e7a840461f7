// SPDX-License-Identifier: Apache-2.0
// The state machine: what workers, time, operators and restarts do to jobs and ranges.
#include "sampler/pool/dispatcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/pool/pool_fixture.h"

namespace pathline::pool {
namespace {

TEST(Dispatcher, AJobGoesFromQueuedToCompletedAndEverySampleIsMadeOnce) {
  Pool pool;
  const std::int64_t job = pool.submit(100);
  EXPECT_EQ(pool.dispatcher->job(job).state, "queued");
  EXPECT_EQ(pool.dispatcher->job(job).spec.checkpoint, "/runs/a/checkpoints/step-5");
  const std::string who = pool.worker();
  std::set<std::int64_t> made;
  bool assembled = false;
  while (const auto lease = pool.dispatcher->lease(who)) {
    if (lease->assembly) {
      EXPECT_EQ(pool.dispatcher->job(job).state, "finalizing");
      EXPECT_EQ(lease->parts.size(), lease->part_paths.size());
      for (const std::string& part : lease->part_paths) EXPECT_TRUE(pool.disk.exists(part)) << part;
      EXPECT_TRUE(lease->parked.empty());
      assembled = true;
    } else {
      for (std::int64_t id = lease->first; id < lease->last; ++id) EXPECT_TRUE(made.insert(id).second) << id;
    }
    pool.expect_order(job);
    pool.finish(who, *lease);
  }
  EXPECT_TRUE(assembled);
  EXPECT_EQ(made.size(), 100u);
  const JobView view = pool.dispatcher->job(job);
  EXPECT_EQ(view.state, "completed");
  EXPECT_EQ(view.done, 100);
  EXPECT_EQ(view.mean_nfe, 10);
  EXPECT_TRUE(pool.disk.exists("/out/set.h5"));
  pool.dispatcher->tick();
  EXPECT_FALSE(pool.disk.exists(pool.directory / "jobs/1"));
}

TEST(Dispatcher, EveryCheckpointOfAJobIsTheStepThatItWasWhenTheJobCame) {
  Pool pool;
  const auto file = pool.disk.create("/runs/classifier.ts");
  file->close();
  JobSpec spec;
  spec.checkpoint = "/runs/a";
  spec.output = "/out/set.h5";
  spec.count = 16;
  spec.options = {{"classifier", "/runs/a/checkpoints"}, {"guide-with", "/runs/a"}, {"features", "/runs/a"}};
  const JobSpec runs = pool.dispatcher->job(pool.dispatcher->submit(spec)).spec;
  EXPECT_EQ(runs.checkpoint, "/runs/a/checkpoints/step-5");
  EXPECT_EQ(runs.options.at("guide-with"), "/runs/a/checkpoints/step-5");
  EXPECT_EQ(runs.options.at("classifier"), "/runs/a/checkpoints/step-5");
  EXPECT_EQ(runs.options.at("features"), "/runs/a/checkpoints/step-5");
  spec.output = "/out/other.h5";
  spec.options = {{"classifier", "/runs/classifier.ts"}};
  const JobSpec script = pool.dispatcher->job(pool.dispatcher->submit(spec)).spec;
  EXPECT_EQ(script.options.at("classifier"), "/runs/classifier.ts");
}

TEST(Dispatcher, RefusesAnOutputThatExistsOrIsBeingMade) {
  Pool pool;
  pool.submit(10);
  EXPECT_EQ(status_of([&] { pool.submit(10); }), 409);
  pool.finish_all(pool.worker());
  EXPECT_EQ(status_of([&] { pool.submit(10); }), 409);
}

TEST(Dispatcher, TwoJobsNeverWriteOneFile) {
  Pool pool;
  JobSpec spec = parse_job_spec(R"({"checkpoint": "/runs/a", "output": "/out/a.h5", "count": 16})");
  spec.options = {{"moments", "/out/moments.npz"}};
  pool.dispatcher->submit(spec);
  spec.output = "/out/b.h5";
  EXPECT_EQ(status_of([&] { pool.dispatcher->submit(spec); }), 409);
  spec.options = {{"moments", "/out//b.npz"}};
  pool.dispatcher->submit(spec);
  spec.output = "/out/./b.npz";
  spec.options = {};
  EXPECT_EQ(status_of([&] { pool.dispatcher->submit(spec); }), 409);
}

TEST(Dispatcher, ALeaseThatIsNotRenewedGoesToAnotherAndItsWorkerCommitsNothing) {
  Pool pool;
  const std::int64_t job = pool.submit(16);
  const std::string slow = pool.worker(), quick = pool.worker();
  const auto lost = pool.dispatcher->lease(slow);
  ASSERT_TRUE(lost);
  EXPECT_FALSE(pool.dispatcher->lease(quick));
  pool.pass(29, {{slow, {}}, {quick, {}}});
  EXPECT_FALSE(pool.dispatcher->lease(quick));
  pool.pass(3, {{slow, {}}, {quick, {}}});
  const auto again = pool.dispatcher->lease(quick);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->first, lost->first);
  EXPECT_GT(again->token, lost->token);
  EXPECT_NE(again->path, lost->path);
  EXPECT_EQ(status_of([&] { pool.finish(slow, *lost); }), 409);
  EXPECT_EQ(pool.dispatcher->heartbeat(slow, {{lost->token, 3}}), std::vector<std::int64_t>{lost->token});
  pool.finish(quick, *again);
  pool.expect_order(job);
}

TEST(Dispatcher, AHeartbeatKeepsALeaseForever) {
  Pool pool;
  pool.submit(16);
  const std::string who = pool.worker();
  const auto lease = pool.dispatcher->lease(who);
  pool.pass(1000, {{who, {lease->token}}});
  EXPECT_EQ(pool.dispatcher->counters().lost, 0);
  pool.finish(who, *lease);
}

TEST(Dispatcher, ANewDispatcherGivesEveryLeaseItsFullLengthAgain) {
  Pool pool;
  pool.submit(16);
  const std::string who = pool.worker();
  const auto lease = pool.dispatcher->lease(who);
  pool.pass(25, {});
  pool.start();
  pool.pass(25, {});
  EXPECT_TRUE(pool.dispatcher->heartbeat(who, {{lease->token, 1}}).empty());
  pool.finish(who, *lease);
  EXPECT_EQ(pool.dispatcher->job(1).done, 16);
}

TEST(Dispatcher, StandingStillItselfLosesNoLease) {
  Pool pool;
  pool.submit(16);
  const std::string who = pool.worker();
  const auto lease = pool.dispatcher->lease(who);
  pool.now += 3600;  // the dispatcher was suspended: nobody could renew
  pool.dispatcher->tick();
  EXPECT_TRUE(pool.dispatcher->heartbeat(who, {{lease->token, 1}}).empty());
}

TEST(Dispatcher, ACommitThatIsAskedForAgainSucceedsAgain) {
  Pool pool;
  pool.submit(32);
  const std::string who = pool.worker();
  const auto lease = pool.dispatcher->lease(who);
  const CommitReport report = pool.write(*lease);
  pool.dispatcher->commit(who, lease->token, report);
  pool.dispatcher->commit(who, lease->token, report);
  pool.start();
  pool.dispatcher->commit(who, lease->token, report);
  EXPECT_EQ(pool.dispatcher->job(1).done, lease->last - lease->first);
}

TEST(Dispatcher, AFileOfAnotherLengthIsNotCommitted) {
  Pool pool;
  pool.submit(16);
  const std::string who = pool.worker();
  const auto lease = pool.dispatcher->lease(who);
  CommitReport report = pool.write(*lease);
  ++report.bytes;
  EXPECT_EQ(status_of([&] { pool.dispatcher->commit(who, lease->token, report); }), 409);
  --report.bytes;
  pool.dispatcher->commit(who, lease->token, report);
}

TEST(Dispatcher, AReturnedLeaseCountsForNothing) {
  Pool pool;
  pool.submit(16);
  const std::string who = pool.worker();
  for (int i = 0; i < 10; ++i) {
    const auto lease = pool.dispatcher->lease(who);
    ASSERT_TRUE(lease);
    EXPECT_EQ(lease->last - lease->first, 16);
    pool.dispatcher->give_back(who, lease->token, "");
  }
  const auto lease = pool.dispatcher->lease(who);
  pool.dispatcher->leave(who);
  EXPECT_EQ(status_of([&] { pool.finish(who, *lease); }), 409);
  EXPECT_EQ(pool.dispatcher->ranges(1).size(), 1u);
}

TEST(Dispatcher, CancellingVoidsLeasesAndKeepsParts) {
  Pool pool;
  const std::int64_t job = pool.submit(64);
  const std::string who = pool.worker();
  const auto first = pool.dispatcher->lease(who), second = pool.dispatcher->lease(who);
  pool.finish(who, *first);
  pool.dispatcher->cancel(job);
  EXPECT_EQ(status_of([&] { pool.finish(who, *second); }), 409);
  EXPECT_FALSE(pool.dispatcher->lease(who));
  pool.dispatcher->tick();
  EXPECT_EQ(pool.dispatcher->job(job).state, "cancelled");
  EXPECT_TRUE(pool.disk.exists(part_path(pool.directory.path(), job, {first->first, first->last})));
}

TEST(Dispatcher, APausedJobAndADrainingPoolGiveNoLeases) {
  Pool pool;
  const std::int64_t job = pool.submit(64);
  const std::string who = pool.worker();
  pool.dispatcher->pause(job, true);
  EXPECT_FALSE(pool.dispatcher->lease(who));
  pool.dispatcher->pause(job, false);
  pool.dispatcher->drain(true);
  pool.start();
  EXPECT_FALSE(pool.dispatcher->lease(who));
  pool.dispatcher->drain(false);
  EXPECT_TRUE(pool.dispatcher->lease(who));
}

TEST(Dispatcher, KernelsAndThreadsBelongToTheJob) {
  Pool pool;
  JobSpec spec;
  spec.checkpoint = "/runs/a";
  spec.output = "/out/a.h5";
  spec.count = 64;
  spec.slots = 16;
  spec.threads = 2;
  pool.dispatcher->submit(spec);
  const std::string narrow = pool.worker("avx2", 1), wide = pool.worker("avx2", 4), other = pool.worker("avx512", 4);
  EXPECT_FALSE(pool.dispatcher->lease(narrow));
  EXPECT_TRUE(pool.dispatcher->lease(wide));
  EXPECT_FALSE(pool.dispatcher->lease(other));
  EXPECT_EQ(pool.dispatcher->job(1).fingerprint, "avx2");
}

TEST(Dispatcher, AJobThatWantsGpusIsNotBegunByProcessors) {
  Pool pool;
  JobSpec spec;
  spec.checkpoint = "/runs/a";
  spec.count = 64;
  spec.slots = 16;
  spec.options = {{"device", "cuda"}};
  spec.output = "/out/gpu.h5";
  const std::int64_t on_gpus = pool.dispatcher->submit(spec);
  const std::string processor = pool.worker("cpu AVX512; torch 2"), gpu = pool.worker("gpu H200; torch 2");
  EXPECT_FALSE(pool.dispatcher->lease(processor));
  EXPECT_EQ(pool.dispatcher->lease(gpu)->job, on_gpus);
  spec.options = {{"device", "cpu"}};
  spec.output = "/out/cpu.h5";
  spec.priority = 1;
  const std::int64_t on_processors = pool.dispatcher->submit(spec);
  EXPECT_EQ(pool.dispatcher->lease(gpu)->job, on_gpus);
  EXPECT_EQ(pool.dispatcher->lease(processor)->job, on_processors);
  spec.options = {{"device", "auto"}};
  spec.output = "/out/any.h5";
  spec.priority = 2;
  const std::int64_t anywhere = pool.dispatcher->submit(spec);
  EXPECT_EQ(pool.dispatcher->lease(processor)->job, anywhere);
  EXPECT_EQ(pool.dispatcher->lease(gpu)->job, on_gpus) << "a processor has begun the other one";
}

TEST(Dispatcher, JobsShareWorkersAndPriorityGoesFirst) {
  Pool pool;
  const std::int64_t a = pool.submit(1000, "a.h5"), b = pool.submit(1000, "b.h5");
  std::map<std::int64_t, int> leases;
  for (int i = 0; i < 6; ++i) ++leases[pool.dispatcher->lease(pool.worker())->job];
  EXPECT_EQ(leases, (std::map<std::int64_t, int>{{a, 3}, {b, 3}}));
  const std::int64_t urgent = pool.submit(1000, "c.h5", 1);
  EXPECT_EQ(pool.dispatcher->lease(pool.worker())->job, urgent);
}

TEST(Dispatcher, AnUnknownWorkerMustJoinAgain) {
  Pool pool;
  EXPECT_EQ(status_of([&] { pool.dispatcher->lease("nobody"); }), 404);
  EXPECT_EQ(status_of([&] { pool.dispatcher->heartbeat("nobody", {}); }), 404);
}

}  // namespace
}  // namespace pathline::pool
