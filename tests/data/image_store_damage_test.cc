// SPDX-License-Identifier: Apache-2.0
// Files that were cut or whose bits turned over: an error that a user can act on, or the data as they were written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/crc32c.h"
#include "core/error.h"
#include "core/random.h"
#include "data/image_store_writer.h"
#include "data/shard_source.h"
#include "tests/support/temporary_directory.h"

namespace pathline::data {
namespace {

using core::ExitCode;
using ::testing::HasSubstr;
using tests::TemporaryDirectory;

constexpr std::int64_t kCount = 40;

/// A small store as bytes; item i consists of bytes i + 1.
std::string stored_bytes(const std::string& path) {
  SetInfo info;
  info.count = kCount, info.height = 4, info.width = 5, info.channels = 3, info.classes = 2;
  info.class_names = {"no", "yes"};
  ImageStoreWriter writer(path, info);
  for (std::int64_t i = 0; i < kCount; ++i) {
    writer.append(std::vector(info.item_bytes(), static_cast<std::byte>(i + 1)), i % 2);
  }
  writer.finish();
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void store(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

/// All that `data verify` does: open, read, compare checksums. True if everything is as it was written.
bool reads_whole(const std::string& path) {
  const auto source = open_source({path});
  const SetInfo& info = source->info();
  bool good = info.count == kCount && info.height == 4 && info.width == 5 && info.channels == 3 && info.classes == 2;
  if (!good) return false;
  std::vector<std::byte> item(info.item_bytes());
  for (std::int64_t i = 0; i < info.count; ++i) {
    source->read(i, item);
    good = good && source->stored_crc(i) == core::crc32c(item) && source->label(i) == i % 2;
  }
  return good;
}

TEST(DamagedStore, CutAnywhereItIsAnInputError) {
  const TemporaryDirectory directory;
  const std::string bytes = stored_bytes(directory / "a.h5");
  ASSERT_TRUE(reads_whole(directory / "a.h5"));
  for (std::size_t length = 0; length < bytes.size(); length += length + 64 < bytes.size() ? 61 : 1) {
    store(directory / "cut.h5", bytes.substr(0, length));
    try {
      reads_whole(directory / "cut.h5");
      ADD_FAILURE() << "read a file of " << length << " of " << bytes.size() << " bytes";
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kInput) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(directory / "cut.h5"));
      EXPECT_THAT(error.what(), HasSubstr(core::concat(length)));
      if (length >= 48) {  // the superblock is there
        EXPECT_THAT(error.what(), HasSubstr("is truncated"));
      }
    }
  }
}

TEST(DamagedStore, CutWhileItIsReadIsAnInputError) {
  const TemporaryDirectory directory;
  const std::string bytes = stored_bytes(directory / "a.h5");
  const auto source = open_source({directory / "a.h5"});
  std::filesystem::resize_file(directory / "a.h5", 100);
  std::vector<std::byte> item(source->info().item_bytes());
  try {
    source->read(kCount - 1, item);
    FAIL() << "read what is not there";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kInput);
    EXPECT_THAT(error.what(), HasSubstr("is truncated"));
  }
}

enum Outcome { kAsWritten = 0, kRefused = 1, kNoticed = 2, kOtherException = 3, kCrashed = 4 };

/// In a child: the HDF5 library may crash over a damaged header.
Outcome outcome_of(const std::string& path) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);
    try {
      ::_exit(reads_whole(path) ? kAsWritten : kNoticed);
    } catch (const core::Error&) {
      ::_exit(kRefused);
    } catch (...) {
      ::_exit(kOtherException);
    }
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? static_cast<Outcome>(WEXITSTATUS(status)) : kCrashed;
}

TEST(DamagedStore, TurnedBitsOfTheHeaderGiveAnErrorOrTheData) {
  const TemporaryDirectory directory;
  const std::string bytes = stored_bytes(directory / "a.h5");
  const std::size_t header = bytes.find(std::string(60, '\1'));  // where item 0 lies
  ASSERT_NE(header, std::string::npos);
  const core::Draws draws(5, 0, core::Purpose::kMadeData);
  for (std::uint64_t flip = 0; flip < 200; ++flip) {
    // The bytes in front of the items and behind them (labels, checksums, attributes) in turn.
    const std::size_t behind = bytes.size() - header - kCount * 60;
    const std::size_t at = draws.bits(2 * flip) % (header + behind);
    std::string damaged = bytes;
    damaged[at < header ? at : at + kCount * 60] ^= static_cast<char>(1 << draws.bits(2 * flip + 1) % 8);
    store(directory / "flip.h5", damaged);
    const Outcome outcome = outcome_of(directory / "flip.h5");
    EXPECT_LT(outcome, kOtherException) << "flip " << flip << " at byte " << at;
  }
}

TEST(DamagedStore, EveryTurnedByteOfItemsLabelsAndChecksumsIsNoticed) {
  const TemporaryDirectory directory;
  const std::string bytes = stored_bytes(directory / "a.h5");
  const std::size_t items = bytes.find(std::string(60, '\1'));
  std::string labels(16, '\0');
  labels[8] = 1;  // 0, 1 as int64
  const std::size_t first_label = bytes.find(labels + labels);
  ASSERT_NE(first_label, std::string::npos);
  for (std::size_t place = 0; place < 100; ++place) {
    std::string damaged = bytes;
    damaged[place % 2 == 0 ? items + 23 * place : first_label + 3 * place] ^= 0x10;
    store(directory / "flip.h5", damaged);
    bool noticed = false;
    try {
      noticed = !reads_whole(directory / "flip.h5");
    } catch (const core::Error&) {
      noticed = true;
    }
    EXPECT_TRUE(noticed) << place;
  }
}

}  // namespace
}  // namespace pathline::data
