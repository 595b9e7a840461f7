// SPDX-License-Identifier: Apache-2.0
// Every byte flipped and every truncation is noticed, and the checkpoint before is taken.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "cluster/thread_communicator.h"
#include "core/error.h"
#include "tests/checkpoint/checkpoint_fixture.h"
#include "tests/support/memory_file_system.h"

namespace pathline::checkpoint {
namespace {

using tests::MemoryFileSystem;

const std::string kDirectory = "/run/checkpoints";

/// Steps 1 and 2, each written by two ranks.
void save_two(MemoryFileSystem& files) {
  for (const std::uint64_t step : {1, 2}) {
    const Sample sample = small_sample(step);
    cluster::run_on_threads(2, [&](cluster::Communicator& ranks) {
      save(files, kDirectory, sample.state, sample.tensors, sample.segments(ranks.rank(), 2, 8), 1,
           collectives_of(ranks));
    });
  }
}

bool noticed(core::FileSystem& files, const std::string& directory) {
  try {
    return !Reader(files, directory).verify().empty();
  } catch (const core::Error& error) {
    return error.code() == core::ExitCode::kInput;
  }
}

/// What newest_good() takes, and that it says so where it is not step 2.
std::string taken(core::FileSystem& files) {
  std::string said;
  const auto newest = newest_good(files, kDirectory, [&](const std::string& line) { said += line; });
  EXPECT_EQ(said.find(kDirectory + "/step-2") != std::string::npos, newest != kDirectory + "/step-2");
  return newest.value_or("");
}

TEST(Damage, EveryFlippedByteOfEveryFileIsNoticed) {
  MemoryFileSystem files;
  save_two(files);
  ASSERT_EQ(taken(files), kDirectory + "/step-2");
  std::size_t positions = 0;
  for (const auto& name : files.list(kDirectory + "/step-2")) {
    auto& bytes = files.bytes(kDirectory + "/step-2/" + name);
    for (std::size_t i = 0; i < bytes.size(); ++i, ++positions) {
      bytes[i] ^= std::byte{0x20};  // in text: the other case of a letter
      ASSERT_TRUE(noticed(files, kDirectory + "/step-2")) << name << " byte " << i;
      ASSERT_EQ(taken(files), kDirectory + "/step-1") << name << " byte " << i;
      bytes[i] ^= std::byte{0x20};
    }
  }
  EXPECT_GT(positions, 1000u);
  EXPECT_FALSE(noticed(files, kDirectory + "/step-2"));
}

TEST(Damage, EveryTruncationAndEveryMissingFileIsNoticed) {
  MemoryFileSystem files;
  save_two(files);
  for (const auto& name : files.list(kDirectory + "/step-2")) {
    auto& bytes = files.bytes(kDirectory + "/step-2/" + name);
    const auto whole = bytes;
    for (std::size_t length = 0; length < whole.size(); ++length) {
      bytes.resize(length);
      ASSERT_TRUE(noticed(files, kDirectory + "/step-2")) << name << " cut to " << length;
      bytes = whole;
    }
    bytes.push_back(std::byte{0});
    ASSERT_TRUE(noticed(files, kDirectory + "/step-2")) << name << " with a byte more";
    bytes = whole;
    files.rename(kDirectory + "/step-2/" + name, "/run/aside");
    ASSERT_TRUE(noticed(files, kDirectory + "/step-2")) << name << " missing";
    ASSERT_EQ(resolve(files, "/run"), name == "manifest.json" ? kDirectory + "/step-1" : kDirectory + "/step-2");
    files.rename("/run/aside", kDirectory + "/step-2/" + name);
  }
}

TEST(Damage, ReadingADamagedPieceThrowsAndTheOthersStayReadable) {
  MemoryFileSystem files;
  const Sample sample(1, {{"master", "big", {1000, 700}}, {"master", "tail", {5}}});
  save_alone(files, kDirectory, sample);
  auto& bytes = files.bytes(kDirectory + "/step-1/rank-0.safetensors");
  bytes[1'500'000] ^= std::byte{1};  // piece 1 of 3
  const Reader reader(files, kDirectory + "/step-1");
  std::vector<std::byte> out(40);
  reader.read("master", "big", 0, 10, out);
  reader.read("master", "big", 699'990, 10, out);
  for (int again = 0; again < 2; ++again) {
    try {
      reader.read("master", "big", 300'000, 10, out);
      FAIL() << "damaged bytes were handed out";
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kInput);
      EXPECT_NE(std::string(error.what()).find("rank-0.safetensors: piece 1 "), std::string::npos) << error.what();
    }
  }
  const auto problems = reader.verify();
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_NE(problems[0].find("master/big [0, 700000)"), std::string::npos) << problems[0];
}

TEST(Damage, WithAllCheckpointsBadNothingIsTakenInSilence) {
  MemoryFileSystem files;
  save_two(files);
  for (const std::string step : {"/step-1", "/step-2"})
    files.bytes(kDirectory + step + "/manifest.json").back() = std::byte{0};
  std::vector<std::string> said;
  EXPECT_THROW(newest_good(files, kDirectory, [&](const std::string& line) { said.push_back(line); }), core::Error);
  EXPECT_EQ(said.size(), 2u);
  EXPECT_THROW(resolve(files, "/run"), core::Error);
}

TEST(Damage, LatestIsOnlyAHint) {
  for (const std::string content :
       {"", "step-", "step-99\n", "../elsewhere\n", "step-2", std::string("\0\xff", 2).c_str()}) {
    MemoryFileSystem files;
    save_two(files);
    core::replace_file(files, kDirectory + "/latest", content);
    EXPECT_EQ(resolve(files, "/run"), kDirectory + "/step-2") << content;
    EXPECT_EQ(taken(files), kDirectory + "/step-2") << content;
    files.remove(kDirectory + "/latest");
    EXPECT_EQ(resolve(files, "/run"), kDirectory + "/step-2");
    files.make_directory(kDirectory + "/latest");
    EXPECT_EQ(resolve(files, "/run"), kDirectory + "/step-2");
    EXPECT_EQ(taken(files), kDirectory + "/step-2");
  }
}

TEST(Damage, ATornLatestDoesNotNameAnEarlierStep) {
  MemoryFileSystem files;
  for (const std::uint64_t step : {1, 12}) save_alone(files, kDirectory, small_sample(step));
  const std::string whole = core::read_text(files, kDirectory + "/latest");
  ASSERT_EQ(whole, "step-12\n");
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    core::replace_file(files, kDirectory + "/latest", whole.substr(0, length));
    EXPECT_EQ(resolve(files, "/run"), kDirectory + "/step-12") << length;
  }
}

TEST(Damage, EveryFlippedBitOfLatestIsPassedOver) {
  MemoryFileSystem files;
  save_two(files);
  auto& bytes = files.bytes(kDirectory + "/latest");
  const auto whole = bytes;
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_EQ(resolve(files, "/run"), kDirectory + "/step-2") << "bit " << bit;
    EXPECT_EQ(taken(files), kDirectory + "/step-2") << "bit " << bit;
    bytes = whole;
  }
}

TEST(Damage, RanksReadAShareEachAndAgreeOnWhatIsGood) {
  constexpr int kRanks = 3;
  constexpr std::size_t kMiB = 1 << 20;
  MemoryFileSystem files;
  for (const std::uint64_t step : {1, 2}) {
    save_alone(files, kDirectory,
               Sample(step, {{"master", "w", {static_cast<std::int64_t>(14 * kMiB / sizeof(float))}}}));
  }
  auto& bytes = files.bytes(kDirectory + "/step-2/rank-0.safetensors");
  for (std::size_t at = 0; at < bytes.size(); at += kMiB) {
    bytes[at] ^= std::byte{1};
    int found_by = 0;
    for (int rank = 0; rank < kRanks; ++rank) {
      found_by += Reader(files, kDirectory + "/step-2").verify({rank, kRanks}).empty() ? 0 : 1;
    }
    EXPECT_EQ(found_by, 1) << "piece " << at / kMiB;
    cluster::run_on_threads(kRanks, [&](cluster::Communicator& ranks) {
      int said = 0;
      const auto newest = newest_good(
          files, kDirectory, [&](const std::string&) { ++said; }, collectives_of(ranks));
      EXPECT_EQ(newest, kDirectory + "/step-1") << "piece " << at / kMiB;
      EXPECT_EQ(said, 1);
    });
    bytes[at] ^= std::byte{1};
  }
}

}  // namespace
}  // namespace pathline::checkpoint
