// SPDX-License-Identifier: Apache-2.0
#include "data/file_descriptor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cerrno>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/file_system.h"
#include "tests/support/temporary_directory.h"

namespace pathline::data {
namespace {

using testing::HasSubstr;

/// A read that fails with these, one after the other, then gives 7 bytes.
struct Storage {
  std::vector<int> reasons;
  std::size_t calls = 0;
  std::vector<double> waits = {};

  ssize_t ask() {
    return read_patiently(
        [this]() -> ssize_t {
          if (calls++ >= reasons.size()) return 7;
          errno = reasons[calls - 1];
          return -1;
        },
        [this](double seconds) { waits.push_back(seconds), errno = 0; });
  }
};

TEST(ReadPatiently, GoesOnAfterFaultsThatPass) {
  Storage storage{{EIO, ESTALE, ETIMEDOUT, EAGAIN}};
  EXPECT_EQ(storage.ask(), 7);
  ASSERT_EQ(storage.waits.size(), 4u);
  for (std::size_t i = 1; i < 4; ++i) EXPECT_GT(storage.waits[i], storage.waits[i - 1]);
}

TEST(ReadPatiently, GivesUpAfterSomeSecondsWithTheLastReason) {
  Storage storage{std::vector<int>(100, ESHUTDOWN)};
  EXPECT_EQ(storage.ask(), -1);
  EXPECT_EQ(errno, ESHUTDOWN);
  EXPECT_EQ(storage.calls, 5u);
}

TEST(ReadPatiently, DoesNotWaitForWhatStays) {
  Storage storage{{EBADF}};
  EXPECT_EQ(storage.ask(), -1);
  EXPECT_EQ(errno, EBADF);
  EXPECT_TRUE(storage.waits.empty());
}

TEST(FileDescriptor, TooManyOpenFilesNamesTheLimit) {
  const tests::TemporaryDirectory directory;
  core::PosixFileSystem files;
  core::replace_file(files, directory / "file", "x");
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none = {0, before.rlim_max};  // what is open stays open
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  std::string text;
  try {
    FileDescriptor(directory / "file", FileDescriptor::Access::kRead);
  } catch (const core::Error& error) {
    text = error.what();
  }
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_THAT(text, HasSubstr("ulimit -n"));
}

}  // namespace
}  // namespace pathline::data
