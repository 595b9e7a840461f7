// SPDX-License-Identifier: Apache-2.0
// Training by likelihood has the bits of one rank on any number of ranks.
#include <gtest/gtest.h>

#include "cluster/self_communicator.h"
#include "tests/trainer/runs.h"

namespace pathline::trainer {
namespace {

void same_bits(cluster::Communicator& ranks, const std::vector<std::string>& sets) {
  Runs runs(ranks, 100);
  if (ranks.rank() == 0) runs.train("alone", sets, *cluster::make_self_communicator());
  ranks.barrier();
  runs.train("together", sets, ranks);
  if (ranks.rank() == 0) {
    EXPECT_EQ(runs.newest_state("together").step, 9u);
    EXPECT_TRUE(runs.newest("alone") == runs.newest("together")) << sets.front();
    EXPECT_TRUE(runs.newest_state("alone").metrics == runs.newest_state("together").metrics);  // also held out
  }
  ranks.barrier();
}

TEST(LikelihoodRun, OfANormalizingFlowHasTheBitsOfOneRank) {
  tests::each_rank([](cluster::Communicator& ranks) {
    same_bits(ranks, {"flow.objective=\"nll-flow\"", "model.name=\"RealNVP\"", "model.couplings=3"});
  });
}

TEST(LikelihoodRun, OfAContinuousFlowHasTheBitsOfOneRank) {
  tests::each_rank([](cluster::Communicator& ranks) {
    for (const std::string divergence : {"exact", "hutchinson"}) {
      same_bits(ranks, {"flow.objective=\"nll-cnf\"", "flow.cnf_divergence=\"" + divergence + "\"", "flow.cnf_steps=2",
                        "model.activation=\"tanh\""});
    }
  });
}

}  // namespace
}  // namespace pathline::trainer
