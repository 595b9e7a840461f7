// SPDX-License-Identifier: Apache-2.0
// PosixFileSystem::create_large: the same bytes as create() on storage of every kind, and no failure lost in its
// thread.
#include "core/direct_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <functional>
#include <future>
#include <iterator>
#include <vector>

#include "core/error.h"
#include "tests/support/temporary_directory.h"

namespace pathline::core {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr std::size_t kBlock = DirectFile::kBlockBytes;

/// Neighbouring 8-byte words differ, as do those a block apart.
std::vector<std::byte> pattern(std::size_t size) {
  std::vector<std::uint64_t> words(size / 8 + 1);
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = (i + 1) * 0x9E3779B97F4A7C15u;
  std::vector<std::byte> bytes(size);
  std::memcpy(bytes.data(), words.data(), size);
  return bytes;
}

/// Pieces of all lengths from 1 byte to more than two blocks, none of them aligned for long.
void append_in_odd_pieces(WritableFile& file, std::span<const std::byte> bytes) {
  for (std::size_t length = 1; !bytes.empty(); length = length * 3 + 1) {
    const auto part = bytes.first(std::min(length, bytes.size()));
    file.append(part);
    bytes = bytes.subspan(part.size());
  }
}

std::string failure_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kEnvironment);
    return error.what();
  }
  return "nothing failed";
}

/// No file of this process may grow beyond `bytes` while it lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_;
  void (*handler_)(int);
};

class LargeFile : public testing::Test {
 protected:
  PosixFileSystem files_;
  tests::TemporaryDirectory directory_;
  const std::string path_ = directory_ / "large";
};

TEST_F(LargeFile, HoldsWhatWasAppendedWhateverItsSize) {
  const auto all = pattern(3 * kBlock + 4097);
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{511}, std::size_t{512}, std::size_t{4095}, std::size_t{4096},
        std::size_t{4097}, kBlock - 1, kBlock, kBlock + 1, 2 * kBlock, 3 * kBlock + 4097}) {
    const auto bytes = std::span(all).first(size);
    const auto file = files_.create_large(path_, size);
    append_in_odd_pieces(*file, bytes);
    file->sync();
    file->close();
    ASSERT_EQ(files_.size(path_), size);
    std::vector<std::byte> read(size);
    files_.read(path_, 0, read);
    EXPECT_TRUE(std::equal(read.begin(), read.end(), bytes.begin())) << size;
  }
}

TEST_F(LargeFile, HasItsOwnLengthWhateverWasReserved) {
  const auto bytes = pattern(kBlock + 5);
  for (const std::size_t reserved : {std::size_t{0}, std::size_t{3}, 2 * kBlock, 3 * kBlock + 1}) {
    const auto file = files_.create_large(path_, reserved);
    file->append(bytes);
    file->close();  // without sync(): complete all the same
    ASSERT_EQ(files_.size(path_), bytes.size());
    std::vector<std::byte> read(bytes.size());
    files_.read(path_, 0, read);
    EXPECT_EQ(read, bytes) << reserved;
  }
}

TEST_F(LargeFile, StorageThatRefusesDirectWritingGetsTheSameBytes) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);  // takes neither O_DIRECT nor a reservation
  auto received = std::async(std::launch::async, [this] {
    std::ifstream pipe(path_, std::ios::binary);
    return std::vector<char>(std::istreambuf_iterator<char>(pipe), {});
  });
  const auto bytes = pattern(2 * kBlock + 77);
  const auto file = files_.create_large(path_, bytes.size());
  append_in_odd_pieces(*file, bytes);
  file->close();
  const auto read = received.get();
  ASSERT_EQ(read.size(), bytes.size());
  EXPECT_EQ(std::memcmp(read.data(), bytes.data(), bytes.size()), 0);
}

TEST_F(LargeFile, MissingRoomIsSaidBeforeTheFirstByte) {
  const FileSizeLimit limit(kBlock);
  EXPECT_THAT(failure_of([&] { files_.create_large(path_, 2 * kBlock); }),
              AllOf(HasSubstr(path_), HasSubstr("no room")));
}

TEST_F(LargeFile, AFailureInItsThreadReachesTheCaller) {
  const auto bytes = pattern(4 * kBlock);
  EXPECT_THAT(failure_of([&] {
                const auto file = files_.create_large("/dev/full", 0);
                file->append(bytes);
                file->sync();
              }),
              AllOf(HasSubstr("/dev/full"), HasSubstr("No space left")));
  const FileSizeLimit limit(kBlock + kBlock / 2);
  EXPECT_THAT(failure_of([&] {
                const auto file = files_.create_large(path_, 0);
                file->append(std::span(bytes).first(2 * kBlock));
                file->sync();
              }),
              AllOf(HasSubstr(path_), HasSubstr("File too large")));
}

TEST_F(LargeFile, FailsAgainAfterAFailure) {
  const auto file = files_.create_large("/dev/full", 0);
  const auto bytes = pattern(kBlock);
  EXPECT_NE(failure_of([&] {
              file->append(bytes);
              file->sync();
            }),
            "nothing failed");
  EXPECT_NE(failure_of([&] { file->sync(); }), "nothing failed");
  EXPECT_NE(failure_of([&] { file->close(); }), "nothing failed");
}

TEST_F(LargeFile, CanBeGivenUp) {
  const auto bytes = pattern(3 * kBlock);
  files_.create_large(path_, bytes.size())->append(bytes);
  files_.remove(path_);
  EXPECT_FALSE(files_.exists(path_));
}

}  // namespace
}  // namespace pathline::core
