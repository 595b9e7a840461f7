// SPDX-License-Identifier: Apache-2.0
// The densities of a set on any number of ranks are those of one rank, bit for bit.
#include "sampler/spread_likelihood.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "cluster/agree.h"
#include "core/error.h"
#include "sampler/generate.h"
#include "tests/sampler/fields.h"
#include "tests/support/ranks.h"

namespace pathline::sampler {
namespace {

constexpr IdRange kIds{3, 33};
constexpr std::int64_t kBad = 20;

LikelihoodOptions few_slots() {
  LikelihoodOptions options;
  options.slots = 16;
  options.probes = 3;
  options.solver.rtol = options.solver.atol = 1e-3;
  return options;
}

/// Each of its own distance from the noise, so that solves take different numbers of steps; one is not finite.
Datum datum_of(std::int64_t id) {
  if (id == kBad) return {id, 0, at::full({6}, std::numeric_limits<double>::quiet_NaN())};
  return {id, 0, start_noise(8, id, {6}) * (1 + 0.1 * static_cast<double>(id))};
}

std::map<std::int64_t, LogDensity> alone() {
  std::map<std::int64_t, LogDensity> densities;
  std::int64_t id = kIds.first;
  log_densities(
      tests::coupled_field, few_slots(), {6}, false,
      [&] { return id < kIds.last ? std::optional(datum_of(id++)) : std::nullopt; },
      [&](const LogDensity& density) { densities[density.id] = density; });
  return densities;
}

TEST(SpreadLikelihood, AnyNumberOfRanksHasTheFiguresOfOne) {
  const auto expected = alone();
  tests::each_rank([&](cluster::Communicator& ranks) {
    std::int64_t seen = 0;
    const auto all = densities_on_ranks(ranks, tests::coupled_field, few_slots(), {6}, false, {kIds, datum_of},
                                        [&](const Tally& tally) {
                                          EXPECT_GE(tally.done, seen);
                                          seen = tally.done;
                                        });
    ASSERT_EQ(static_cast<std::int64_t>(all.size()), kIds.count());
    for (std::size_t i = 0; i < all.size(); ++i) {
      const LogDensity& one = expected.at(kIds.first + static_cast<std::int64_t>(i));
      EXPECT_EQ(all[i].id, one.id);
      EXPECT_EQ(all[i].nfe, one.nfe);
      EXPECT_EQ(all[i].outcome, one.outcome);
      if (one.id == kBad) {
        EXPECT_TRUE(failed(all[i].outcome));
      } else {
        EXPECT_EQ(all[i].log_p, one.log_p);
        EXPECT_EQ(all[i].error, one.error);
      }
    }
    if (ranks.size() == 1) {
      EXPECT_EQ(seen, kIds.count());
    } else if (ranks.rank() != 0) {
      EXPECT_EQ(seen, 0);
    }
  });
}

TEST(SpreadLikelihood, AFailureOfOneRankEndsAll) {
  tests::each_rank([&](cluster::Communicator& ranks) {
    const auto datum = [&](std::int64_t id) {
      PL_CHECK(ranks.rank() != ranks.size() - 1, core::ExitCode::kInput, "the file is damaged");
      return datum_of(id);
    };
    // The last rank asks for work before it does anything else, and there is some for each.
    EXPECT_THROW(densities_on_ranks(ranks, tests::coupled_field, few_slots(), {6}, false, {{0, 60}, datum},
                                    [](const Tally&) {}),
                 cluster::AgreedError);
  });
}

}  // namespace
}  // namespace pathline::sampler
