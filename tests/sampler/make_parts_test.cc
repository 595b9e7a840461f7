// SPDX-License-Identifier: Apache-2.0
// Ranges dealt to ranks as they ask: every id is made once, whoever makes it, and errors and stops reach all.
#include "sampler/make_parts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "cluster/agree.h"
#include "core/error.h"
#include "sampler/to_record.h"
#include "tests/sampler/fields.h"
#include "tests/sampler/small_job.h"
#include "tests/support/ranks.h"

namespace pathline::sampler {
namespace {

using tests::small_job;

constexpr IdRange kAll{7, 90};

PartMaking making(std::uint64_t identity) {
  PartMaking making;
  making.job = identity;
  making.label_of = [](std::int64_t) { return -1; };
  making.record_of = [](Sample&& sample) { return to_record(sample); };
  return making;
}

/// The job on these ranks with parts in `directory`, begun by rank 0; returns this rank's statistics.
Statistics run(
    cluster::Communicator& ranks, PartStore& store, const Field& field, const JobRecord& record,
    const std::function<bool()>& stop = [] { return false; }) {
  std::vector<IdRange> open;
  cluster::together(ranks, [&] {
    if (ranks.rank() != 0) return;
    store.open(record);
    open = missing_ranges(kAll, store.committed());
  });
  RangeDealer dealer(ranks, open, {.first_range = 4, .most = 6, .seconds = 1});
  return cluster::together(ranks, [&] {
    PartMaking how = making(record.identity());
    how.stop = stop;
    return make_parts(field, small_job(), how, dealer, store);
  });
}

JobRecord job_record() {
  JobRecord record;
  record.add("seed", "5");
  return record;
}

std::int64_t total(cluster::Communicator& ranks, std::int64_t mine) {
  std::array<std::int64_t, 1> sum = {mine};
  ranks.all_reduce(std::span<std::int64_t>(sum), cluster::Reduction::kSum);
  return sum[0];
}

void expect_all_samples(const PartStore& store, const Field& field) {
  std::map<std::int64_t, Record> alone;
  generate(
      field, small_job(), kAll.first, kAll.last, [](std::int64_t) { return -1; },
      [&](Sample&& sample) { alone.emplace(sample.id, to_record(sample)); });
  store.read_all(job_record().identity(), kAll, [&](Record&& record) {
    EXPECT_EQ(record.item, alone.at(record.id).item) << record.id;
    EXPECT_EQ(record.nfe, alone.at(record.id).nfe);
    alone.erase(record.id);
  });
  EXPECT_TRUE(alone.empty());
}

TEST(NextCount, IsTimedWorkThatShrinksTowardsTheEnd) {
  const Dealing dealing{.first_range = 64, .most = 1000, .seconds = 10};
  EXPECT_EQ(next_count(dealing, 4, 100'000, 0), 64);
  EXPECT_EQ(next_count(dealing, 4, 100'000, 5.0), 50);
  EXPECT_EQ(next_count(dealing, 4, 100'000, 1e9), 1000);
  EXPECT_EQ(next_count(dealing, 4, 80, 5.0), 10);
  EXPECT_EQ(next_count(dealing, 4, 3, 5.0), 1);
  EXPECT_EQ(next_count(dealing, 1, 80, 5.0), 50);
  EXPECT_EQ(next_count(dealing, 1, 20, 5.0), 20);
  EXPECT_EQ(next_count(dealing, 1, 20, 1e-9), 1);
}

TEST(MakeParts, AnyNumberOfRanksMakesEverySampleOnce) {
  tests::each_rank([&](cluster::Communicator& ranks) {
    core::PosixFileSystem files;
    PartStore store(files, tests::shared_temporary_directory(ranks, "parts") + "/set.h5");
    const tests::GaussianField field{0.2, 0.5};
    const Statistics mine = run(ranks, store, field, job_record());
    EXPECT_EQ(total(ranks, mine.count), kAll.count());
    EXPECT_EQ(mine.queued_useful, mine.queued_rows);  // no slot is empty while there are ids
    cluster::together(ranks, [&] {
      if (ranks.rank() == 0) expect_all_samples(store, field);
    });
  });
}

TEST(MakeParts, GoesOnWhereAStoppedStartEnded) {
  tests::each_rank([&](cluster::Communicator& ranks) {
    core::PosixFileSystem files;
    PartStore store(files, tests::shared_temporary_directory(ranks, "parts") + "/set.h5");
    const tests::GaussianField field{0.2, 0.5};
    int asked = 0;  // each rank is told to stop at its fifth id: some rank must get there
    const auto stop = [&] { return ++asked > 4; };
    const std::int64_t first = total(ranks, run(ranks, store, field, job_record(), stop).count);
    EXPECT_GE(first, 4);
    EXPECT_LT(first, kAll.count());
    const std::int64_t second = total(ranks, run(ranks, store, field, job_record()).count);
    EXPECT_EQ(first + second, kAll.count());
    cluster::together(ranks, [&] {
      if (ranks.rank() == 0) expect_all_samples(store, field);
    });
  });
}

TEST(MakeParts, AFailureEndsAllRanksAndKeepsWhatIsCommitted) {
  tests::each_rank([&](cluster::Communicator& ranks) {
    core::PosixFileSystem files;
    PartStore store(files, tests::shared_temporary_directory(ranks, "parts") + "/set.h5");
    const tests::GaussianField field{0.2, 0.5};
    int evaluations = 0;
    const Field failing = [&](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
      PL_CHECK(++evaluations < 60, core::ExitCode::kEnvironment, "the device is gone");
      return field(x, t, labels);
    };
    EXPECT_THROW(run(ranks, store, failing, job_record()), cluster::AgreedError);
    run(ranks, store, field, job_record());
    cluster::together(ranks, [&] {
      if (ranks.rank() == 0) expect_all_samples(store, field);
    });
  });
}

}  // namespace
}  // namespace pathline::sampler
