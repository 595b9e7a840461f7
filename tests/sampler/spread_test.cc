// SPDX-License-Identifier: Apache-2.0
// A job on any number of ranks makes what one rank makes.
#include "sampler/spread.h"

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <map>

#include "cluster/agree.h"
#include "core/error.h"
#include "tests/sampler/fields.h"
#include "tests/sampler/small_job.h"
#include "tests/support/ranks.h"

namespace pathline::sampler {
namespace {

using tests::small_job;

std::int64_t no_label(std::int64_t) { return -1; }

TEST(Spread, RangesOfARoundAreContiguousAndCoverIt) {
  for (const int ranks : {1, 2, 3, 5}) {
    for (const std::int64_t most : {1, 4, 100}) {
      std::int64_t next = 3;
      while (next < 20) {
        for (int rank = 0; rank < ranks; ++rank) {
          const IdRange range = range_of(rank, ranks, next, 20, most);
          EXPECT_LE(range.count(), most);
          if (range.count() == 0) continue;
          EXPECT_EQ(range.first, rank == 0 ? next : range_of(rank - 1, ranks, next, 20, most).last);
        }
        const std::int64_t end = range_of(ranks - 1, ranks, next, 20, most).last;
        ASSERT_GT(end, next);
        next = end;
      }
      EXPECT_EQ(next, 20);
    }
  }
}

TEST(Spread, AnyNumberOfRanksMakesTheSameSamples) {
  std::map<std::int64_t, Sample> alone;
  const tests::GaussianField field{0.2, 0.5};
  const Statistics expected =
      generate(field, small_job(), 7, 30, no_label, [&](Sample&& sample) { alone.emplace(sample.id, sample); });
  tests::each_rank([&](cluster::Communicator& ranks) {
    std::map<std::int64_t, Sample> gathered;
    const Statistics statistics = generate_on_ranks(
        ranks, field, small_job(), 7, 30, no_label,
        {[&](const Sample& sample) { EXPECT_TRUE(gathered.emplace(sample.id, sample).second); }, [](std::int64_t) {}});
    EXPECT_EQ(statistics.count, expected.count);
    EXPECT_EQ(statistics.nfe, expected.nfe);
    EXPECT_EQ(statistics.max_nfe, expected.max_nfe);
    EXPECT_EQ(statistics.mean_nfe, expected.mean_nfe);
    EXPECT_EQ(statistics.rejected_steps, expected.rejected_steps);
    ASSERT_EQ(gathered.size(), ranks.rank() == 0 ? alone.size() : 0u);
    for (const auto& [id, sample] : gathered) {
      EXPECT_TRUE(at::equal(sample.value, alone.at(id).value)) << id;
      EXPECT_EQ(sample.nfe, alone.at(id).nfe);
      EXPECT_EQ(sample.status, SampleStatus::kDone);
    }
  });
}

TEST(Spread, AFailureOfOneRankOrOfTheSinkEndsAllRanks) {
  tests::each_rank([&](cluster::Communicator& ranks) {
    const Field failing = [&](const at::Tensor& x, const at::Tensor&, const at::Tensor&) {
      PL_CHECK(ranks.rank() != ranks.size() - 1, core::ExitCode::kEnvironment, "the device is gone");
      return x;
    };
    EXPECT_THROW(
        generate_on_ranks(ranks, failing, small_job(), 0, 20, no_label, {[](const Sample&) {}, [](std::int64_t) {}}),
        cluster::AgreedError);
    const auto full_disk = [](const Sample&) { PL_CHECK(false, core::ExitCode::kEnvironment, "disk full"); };
    EXPECT_THROW(generate_on_ranks(ranks, tests::GaussianField{}, small_job(), 0, 20, no_label,
                                   {full_disk, [](std::int64_t) {}}),
                 cluster::AgreedError);
  });
}

}  // namespace
}  // namespace pathline::sampler
