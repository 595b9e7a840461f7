// SPDX-License-Identifier: Apache-2.0
// Jobs whose number of slots is measured: one worker at a time measures, nobody makes samples before, and whatever
// happens to it the job goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/pool/pool_fixture.h"

namespace pathline::pool {
namespace {

std::int64_t submit_auto(Pool& pool, std::int64_t count) {
  JobSpec spec;
  spec.checkpoint = "/runs/a";
  spec.output = "/out/set.h5";
  spec.count = count;
  spec.first = 3;
  spec.slots = kMeasuredSlots;
  return pool.dispatcher->submit(spec);
}

TEST(MeasuredSlots, AreThoseOfTheFirstWorkerForAll) {
  Pool pool;
  const std::int64_t job = submit_auto(pool, 200);
  const std::string first = pool.worker(), second = pool.worker();
  const auto measuring = pool.dispatcher->lease(first);
  ASSERT_TRUE(measuring && measuring->measure);
  EXPECT_EQ(measuring->spec.slots, kMeasuredSlots);
  EXPECT_FALSE(pool.dispatcher->lease(second));  // no sample before the number is known
  EXPECT_FALSE(pool.dispatcher->lease(first));
  std::multiset<std::string> kinds;
  for (const WorkerView& view : pool.dispatcher->workers()) kinds.insert(view.kind);
  EXPECT_EQ(kinds, (std::multiset<std::string>{"", "slots"}));
  pool.dispatcher->set_slots(first, measuring->token, 48);
  EXPECT_EQ(status_of([&] { pool.dispatcher->set_slots(first, measuring->token, 32); }), 409);  // once
  pool.start();                                                                                 // it is in the store
  EXPECT_EQ(pool.dispatcher->job(job).spec.slots, 48);
  EXPECT_EQ(pool.dispatcher->job(job).fingerprint, "cpu");
  const auto samples = pool.dispatcher->lease(second);
  ASSERT_TRUE(samples && !samples->measure);
  EXPECT_EQ(samples->spec.slots, 48);
  EXPECT_EQ(samples->first, 3);
  EXPECT_EQ(samples->last, 51);
  pool.finish(second, *samples);
  pool.expect_order(job);
  pool.finish_all(first);
  EXPECT_EQ(pool.dispatcher->job(job).state, "completed");
  EXPECT_EQ(pool.dispatcher->job(job).done, 200);
}

TEST(MeasuredSlots, ADeadWorkersTurnComesToAnotherEvenWithOtherKernels) {
  Pool pool;
  const std::int64_t job = submit_auto(pool, 100);
  const std::string dead = pool.worker("cpu one"), other = pool.worker("cpu two");
  const auto lost = pool.dispatcher->lease(dead);
  ASSERT_TRUE(lost && lost->measure);
  pool.pass(32, {{other, {}}});
  const auto measuring = pool.dispatcher->lease(other);
  ASSERT_TRUE(measuring && measuring->measure);
  EXPECT_EQ(status_of([&] { pool.dispatcher->set_slots(dead, lost->token, 16); }), 409);  // it was not dead
  EXPECT_EQ(pool.dispatcher->job(job).spec.slots, kMeasuredSlots);
  pool.dispatcher->set_slots(other, measuring->token, 64);
  EXPECT_EQ(pool.dispatcher->job(job).fingerprint, "cpu two");
  EXPECT_FALSE(pool.dispatcher->lease(dead));  // has other kernels
  pool.finish_all(other);
  EXPECT_EQ(pool.dispatcher->job(job).state, "completed");
}

TEST(MeasuredSlots, ALeaseThatIsGivenBackOrOutlivesItsDispatcherIsGivenAgain) {
  Pool pool;
  submit_auto(pool, 100);
  const std::string who = pool.worker();
  const auto returned = pool.dispatcher->lease(who);
  pool.dispatcher->give_back(who, returned->token, "");
  const auto again = pool.dispatcher->lease(who);
  ASSERT_TRUE(again && again->measure);
  pool.start();
  pool.dispatcher->set_slots(who, again->token, 32);  // a restart forgets no lease
  EXPECT_EQ(pool.dispatcher->lease(who)->spec.slots, 32);
}

TEST(MeasuredSlots, AJobThatCannotBeMeasuredFails) {
  for (const bool dies : {true, false}) {
    Pool pool;
    const std::int64_t job = submit_auto(pool, 100);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(pool.dispatcher->job(job).error.find("slots"), std::string::npos);
      const std::string who = pool.worker();
      const auto lease = pool.dispatcher->lease(who);
      ASSERT_TRUE(lease && lease->measure) << i;
      if (dies) {
        pool.pass(32);
      } else {
        pool.dispatcher->report_error(who, lease->token, {"no memory", true, -1});
      }
    }
    EXPECT_EQ(pool.dispatcher->job(job).state, "failed");
    EXPECT_THAT(pool.dispatcher->job(job).error, testing::HasSubstr(dies ? "3 workers died" : "no memory"));
    EXPECT_FALSE(pool.dispatcher->lease(pool.worker()));
  }
}

TEST(MeasuredSlots, OnlyItsOwnLeaseTakesANumberAndOnlyOneThatCanBe) {
  Pool pool;
  const std::int64_t plain = pool.submit(32, "plain.h5", /*priority=*/1);
  const std::int64_t job = submit_auto(pool, 100);
  const std::string who = pool.worker(), other = pool.worker();
  const auto samples = pool.dispatcher->lease(who);
  ASSERT_EQ(samples->job, plain);
  EXPECT_EQ(status_of([&] { pool.dispatcher->set_slots(who, samples->token, 16); }), 409);
  pool.finish(who, *samples);
  pool.finish(who, *pool.dispatcher->lease(who));
  pool.finish(who, *pool.dispatcher->lease(who));  // its assembly
  const auto measuring = pool.dispatcher->lease(who);
  ASSERT_TRUE(measuring && measuring->measure);
  for (const std::int64_t slots : {std::int64_t{-1}, std::int64_t{0}, std::int64_t{5}, std::int64_t{1} << 40})
    EXPECT_EQ(status_of([&] { pool.dispatcher->set_slots(who, measuring->token, slots); }), 400) << slots;
  EXPECT_EQ(status_of([&] { pool.dispatcher->set_slots(other, measuring->token, 16); }), 409);
  EXPECT_EQ(status_of([&] { pool.dispatcher->commit(who, measuring->token, {}); }), 409);
  pool.dispatcher->cancel(job);
  EXPECT_EQ(status_of([&] { pool.dispatcher->set_slots(who, measuring->token, 16); }), 409);
}

}  // namespace
}  // namespace pathline::pool
