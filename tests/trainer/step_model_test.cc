// SPDX-License-Identifier: Apache-2.0
#include "trainer/step_model.h"

#include <gtest/gtest.h>

namespace pathline::trainer {
namespace {

StepWork work_of(std::vector<double> reduce, std::vector<double> gather) {
  StepWork work;
  work.slices = 4;
  work.slice_seconds = 3;  // forward 1, backward 2
  work.buckets = {100, 100};
  work.reduce = std::move(reduce);
  work.gather = std::move(gather);
  work.update_seconds = 0.25;
  return work;
}

TEST(StepModel, HidesReductionsThatTheBackwardPassOutlasts) {
  const StepPrediction step = predict_step(work_of({0.5, 0.125}, {0, 0}));
  EXPECT_EQ(step.compute_seconds, 12);
  EXPECT_EQ(step.reduce_seconds, 0.625);
  EXPECT_EQ(step.reduce_exposed_seconds, 0.125);  // the last bucket can only start when the pass is over
  EXPECT_EQ(step.seconds, 12 + 0.125 + 0.25);
}

TEST(StepModel, QueuesReductionsBehindEachOther) {
  EXPECT_EQ(predict_step(work_of({4, 1}, {0, 0})).reduce_exposed_seconds, 1 + 4 + 1 - 2);
}

/// The forward pass needs the last bucket at once and the first after half a second.
TEST(StepModel, WaitsForParametersInOrderOfExecution) {
  EXPECT_EQ(predict_step(work_of({0, 0}, {0.5, 0})).gather_exposed_seconds, 0);
  EXPECT_EQ(predict_step(work_of({0, 0}, {0.5, 0.25})).gather_exposed_seconds, 0.25);
  EXPECT_EQ(predict_step(work_of({0, 0}, {2, 0.25})).gather_exposed_seconds, 0.25 + 1.5);
}

TEST(StepModel, RanksOfANodeShareItsNetwork) {
  const cluster::Traffic far{2, 0, 1'000'000'000}, near{1, 4'000'000'000, 0};
  Network network;
  network.latency_us = 1e6;  // a second
  network.bandwidth_gbytes = 2;
  network.within_gbytes = 4;
  EXPECT_EQ(exchange_seconds({far, far, far, far}, 2, network), 2 + 2 * 0.5);
  EXPECT_EQ(exchange_seconds({far, far, far, far}, 4, network), 2 + 4 * 0.5);
  EXPECT_EQ(exchange_seconds({near, near}, 2, network), 1 + 1);
}

}  // namespace
}  // namespace pathline::trainer
