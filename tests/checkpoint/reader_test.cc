// SPDX-License-Identifier: Apache-2.0
// Reading with several threads: the same bytes, and the same complaint, as with one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "cluster/thread_communicator.h"
#include "core/error.h"
#include "tests/checkpoint/checkpoint_fixture.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/temporary_directory.h"

namespace pathline::checkpoint {
namespace {

using testing::HasSubstr;

/// 15 MB in four files: pieces with one owner, pieces with many, and pieces that hold ends of tensors.
Sample large_sample() {
  std::vector<TensorRecord> tensors = {{"master", "big", {3, 1000, 1000}}};
  for (int i = 0; i < 40; ++i) tensors.push_back({"master", "small-" + std::to_string(i), {i, 37}});
  tensors.push_back({"adam_m", "big", {700'001}});
  return Sample(1, tensors);
}

void save_by_four(core::FileSystem& files, const std::string& directory, const Sample& sample) {
  cluster::run_on_threads(4, [&](cluster::Communicator& ranks) {
    save(files, directory, sample.state, sample.tensors, sample.segments(ranks.rank(), 4, 4096), 1,
         collectives_of(ranks));
  });
}

std::span<const std::byte> content(const Sample& sample, std::size_t tensor, std::uint64_t offset,
                                   std::uint64_t count) {
  return std::span(sample.bytes[tensor]).subspan(offset * sizeof(float), count * sizeof(float));
}

/// Every tensor in parts of `part` elements that each begin `overlap` elements before the last one's end, all in one
/// call.
bool parts_are_right(const Reader& reader, const Sample& sample, std::uint64_t part, std::uint64_t overlap) {
  std::vector<Wanted> wanted;
  std::vector<std::vector<std::byte>> read;
  std::vector<std::span<const std::byte>> expected;
  for (std::size_t t = 0; t < sample.tensors.size(); ++t) {
    for (std::uint64_t from = 0; from < sample.elements(t); from += part) {
      const std::uint64_t offset = from > overlap ? from - overlap : 0;
      const std::uint64_t count = std::min(part + overlap, sample.elements(t) - offset);
      read.emplace_back(count * sizeof(float));
      expected.push_back(content(sample, t, offset, count));
      wanted.push_back({sample.tensors[t].kind, sample.tensors[t].name, offset, count, read.back()});
    }
  }
  reader.read(wanted);
  for (std::size_t i = 0; i < read.size(); ++i) {
    if (!std::equal(read[i].begin(), read[i].end(), expected[i].begin(), expected[i].end())) return false;
  }
  return true;
}

TEST(Reading, GivesManyRangesAtOnceTheirBytes) {
  const tests::TemporaryDirectory directory;
  core::PosixFileSystem files;
  const Sample sample = large_sample();
  save_by_four(files, directory.path(), sample);
  const Reader reader(files, directory / "step-1");
  EXPECT_TRUE(holds(reader, sample));
  EXPECT_TRUE(reader.verify().empty());
  for (const std::uint64_t part : {4'000'000, 262'144, 100'000, 30'011}) {
    EXPECT_TRUE(parts_are_right(reader, sample, part, 0)) << part;
    EXPECT_TRUE(parts_are_right(reader, sample, part, 12'345)) << part;
  }
  reader.read(std::span<const Wanted>{});
}

TEST(Reading, FillsOneDestinationFromAllFilesInPlace) {
  tests::MemoryFileSystem files;
  const Sample sample = large_sample();
  save_by_four(files, "/run/checkpoints", sample);
  std::vector<std::byte> together;
  for (const auto& bytes : sample.bytes) together.insert(together.end(), bytes.begin(), bytes.end());
  std::vector<std::byte> read(together.size());
  std::vector<Wanted> wanted;
  std::size_t at = 0;
  for (std::size_t t = 0; t < sample.tensors.size(); at += sample.bytes[t++].size()) {
    const auto out = std::span(read).subspan(at, sample.bytes[t].size());
    wanted.push_back({sample.tensors[t].kind, sample.tensors[t].name, 0, sample.elements(t), out});
  }
  std::reverse(wanted.begin(), wanted.end());  // the order in which they are asked for does not matter
  Reader(files, "/run/checkpoints/step-1").read(wanted);
  EXPECT_TRUE(read == together);
}

TEST(Reading, NamesTheFirstOfSeveralDamagedPieces) {
  tests::MemoryFileSystem files;
  const Sample sample(1, {{"master", "big", {4, 1024, 1024}}});
  save_alone(files, "/run/checkpoints", sample);
  auto& bytes = files.bytes("/run/checkpoints/step-1/rank-0.safetensors");
  for (const std::size_t piece : {13, 4, 9, 11}) bytes[(piece << 20) + 4711] ^= std::byte{1};
  const Reader reader(files, "/run/checkpoints/step-1");
  std::vector<std::byte> out(sample.bytes[0].size());
  for (int again = 0; again < 20; ++again) {
    try {
      reader.read("master", "big", 0, sample.elements(0), out);
      FAIL() << "damaged bytes were handed out";
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kInput);
      EXPECT_THAT(error.what(), HasSubstr("rank-0.safetensors: piece 4 "));
    }
    EXPECT_THAT(reader.verify(), testing::ElementsAre(HasSubstr("piece 4 "), HasSubstr("piece 9 "),
                                                      HasSubstr("piece 11 "), HasSubstr("piece 13 ")));
  }
}

}  // namespace
}  // namespace pathline::checkpoint
