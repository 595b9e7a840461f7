// SPDX-License-Identifier: Apache-2.0
// Any number of ranks reads what any number wrote.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/manifest.h"
#include "cluster/thread_communicator.h"
#include "core/error.h"
#include "core/safetensors.h"
#include "tests/checkpoint/checkpoint_fixture.h"
#include "tests/support/faulty_file_system.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/temporary_directory.h"

namespace pathline::checkpoint {
namespace {

using tests::FaultyFileSystem;
using tests::MemoryFileSystem;

/// Two tensors beyond 1 MiB, so that pieces are cut within segments and segments within pieces.
Sample large_sample(std::uint64_t step) {
  return Sample(step, {{"master", "big", {1000, 700}}, {"adam_m", "big", {1000, 700}}, {"master", "bias", {13}}});
}

void save_on_ranks(core::FileSystem& files, const std::string& directory, const Sample& sample, int ranks,
                   std::uint64_t block = 4096) {
  cluster::run_on_threads(ranks, [&](cluster::Communicator& communicator) {
    save(files, directory, sample.state, sample.tensors, sample.segments(communicator.rank(), ranks, block), 1,
         collectives_of(communicator));
  });
}

TEST(RoundTrip, AnyNumberOfRanksReadsWhatAnyNumberWrote) {
  const Sample sample = large_sample(500);
  for (int writers = 1; writers <= 5; ++writers) {
    MemoryFileSystem files;
    save_on_ranks(files, "/run/checkpoints", sample, writers);
    for (int readers = 1; readers <= 5; ++readers) {
      for (int rank = 0; rank < readers; ++rank) {
        const Reader reader(files, "/run/checkpoints/step-500");
        for (const auto& s : sample.segments(rank, readers, 1000)) {
          std::vector<std::byte> out(s.bytes.size());
          reader.read(s.kind, s.name, s.offset, s.count, out);
          ASSERT_TRUE(std::equal(out.begin(), out.end(), s.bytes.begin())) << writers << " to " << readers;
        }
      }
    }
  }
}

TEST(RoundTrip, EveryRangeOfElementsReadsBackExactly) {
  const Sample sample = small_sample(3);
  MemoryFileSystem files;
  save_on_ranks(files, "/run/checkpoints", sample, 3, 8);
  const Reader reader(files, "/run/checkpoints/step-3");
  for (std::uint64_t from = 0; from <= 35; ++from) {
    for (std::uint64_t to = from; to <= 35; ++to) {
      std::vector<std::byte> out((to - from) * 4);
      reader.read("master", "w", from, to - from, out);
      ASSERT_TRUE(std::equal(out.begin(), out.end(), sample.bytes[0].begin() + static_cast<std::ptrdiff_t>(from * 4)));
    }
  }
}

TEST(RoundTrip, StateComesBackAsItWas) {
  const Sample sample = small_sample(7);
  MemoryFileSystem files;
  save_alone(files, "/run/checkpoints", sample);
  const State read = Reader(files, "/run/checkpoints/step-7").state();
  const State& wrote = sample.state;
  EXPECT_EQ(read.position, wrote.position);
  EXPECT_EQ(read.optimizer_step, wrote.optimizer_step);
  EXPECT_EQ(read.seed, wrote.seed);
  EXPECT_EQ(read.recipe, wrote.recipe);
  EXPECT_EQ(read.kernel_fingerprint, wrote.kernel_fingerprint);
  EXPECT_EQ(read.data_fingerprint, wrote.data_fingerprint);
  EXPECT_EQ(read.skipped_windows, wrote.skipped_windows);
  EXPECT_EQ(read.skips_in_a_row, wrote.skips_in_a_row);
  EXPECT_EQ(read.rollbacks_in_a_row, wrote.rollbacks_in_a_row);
  EXPECT_EQ(read.saved_at, wrote.saved_at);
  EXPECT_EQ(read.metrics, wrote.metrics);
  EXPECT_EQ(read.versions, wrote.versions);
  EXPECT_EQ(read.extra, wrote.extra);
}

TEST(RoundTrip, DataFilesAreOrdinarySafetensors) {
  const tests::TemporaryDirectory directory;
  core::PosixFileSystem files;
  save_on_ranks(files, directory / "checkpoints", large_sample(2), 2);
  const auto header = core::read_safetensors_header(files, directory / "checkpoints/step-2/rank-1.safetensors");
  ASSERT_EQ(header.tensors.size(), 3u);
  EXPECT_EQ(header.tensors[0].name, "master/big@348160");  // block 85 of 171, times 4096
  EXPECT_EQ(header.tensors[0].dtype, "F32");
  EXPECT_EQ(core::read_text(files, directory / "checkpoints/latest"), "step-2\n");
}

TEST(RoundTrip, RanksWithNothingToWriteMakeNoFile) {
  MemoryFileSystem files;
  const Sample sample(4, {{"master", "bias", {13}}});
  save_on_ranks(files, "/run/checkpoints", sample, 4);
  EXPECT_EQ(files.list("/run/checkpoints/step-4"), (std::vector<std::string>{"manifest.json", "rank-3.safetensors"}));
  EXPECT_TRUE(holds(Reader(files, "/run/checkpoints/step-4"), sample));
}

TEST(RoundTrip, AFailureOnAnyRankIsThrownOnAllAndLeavesTheEarlierCheckpoint) {
  for (int failing = 0; failing < 3; ++failing) {
    for (int call = 0; call < 6; ++call) {
      MemoryFileSystem files;
      const Sample before = small_sample(1), after = small_sample(2);
      save_on_ranks(files, "/run/checkpoints", before, 3, 8);
      std::atomic<int> thrown = 0;
      cluster::run_on_threads(3, [&](cluster::Communicator& ranks) {
        const auto kind = ranks.rank() == failing ? tests::Fault::Kind::kError : tests::Fault::Kind::kNone;
        FaultyFileSystem mine(files, tests::Fault{kind, call});
        try {
          save(mine, "/run/checkpoints", after.state, after.tensors, after.segments(ranks.rank(), 3, 8), 1,
               collectives_of(ranks));
        } catch (const core::Error& error) {
          EXPECT_EQ(error.code(), core::ExitCode::kEnvironment);
          EXPECT_NE(std::string(error.what()).find("(injected)"), std::string::npos) << error.what();
          ++thrown;
        }
      });
      EXPECT_EQ(thrown, 3) << "rank " << failing << " call " << call;
      EXPECT_EQ(files.list("/run/checkpoints"), (std::vector<std::string>{"latest", "step-1"}));
      EXPECT_TRUE(holds(Reader(files, "/run/checkpoints/step-1"), before));
    }
  }
}

TEST(RoundTrip, HolesAndOverlapsAreRefusedBeforeTheCommit) {
  MemoryFileSystem files;
  const Sample sample = small_sample(5);
  auto hole = sample.segments(0, 1, 16);
  hole.front().offset = 1;
  hole.front().count -= 1;
  hole.front().bytes = hole.front().bytes.subspan(4);
  EXPECT_THROW(save(files, "/run/checkpoints", sample.state, sample.tensors, hole, 1, Collectives{}), core::Error);
  auto overlap = sample.segments(0, 1, 16);
  overlap.push_back(overlap.front());
  overlap.back().offset = 3;
  overlap.back().count = 2;
  overlap.back().bytes = overlap.back().bytes.subspan(12, 8);
  EXPECT_THROW(save(files, "/run/checkpoints", sample.state, sample.tensors, overlap, 1, Collectives{}), core::Error);
  EXPECT_TRUE(committed(files, "/run/checkpoints").empty());
}

TEST(RoundTrip, WhoLostTheRunLockCommitsNothing) {
  MemoryFileSystem files;
  const Sample sample = small_sample(5);
  EXPECT_THROW(save(files, "/run/checkpoints", sample.state, sample.tensors, sample.segments(0, 1, 16), 1,
                    Collectives{}, [] { return false; }),
               core::Error);
  EXPECT_TRUE(files.list("/run/checkpoints").empty());
}

}  // namespace
}  // namespace pathline::checkpoint
