// SPDX-License-Identifier: Apache-2.0
#include "core/file_system.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <stdexcept>

#include "core/error.h"
#include "tests/support/temporary_directory.h"

namespace pathline::core {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class PosixFiles : public testing::Test {
 protected:
  void write(const std::string& name, std::string_view content) {
    const auto file = files_.create(directory_ / name);
    file->append(std::as_bytes(std::span(content)));
    file->close();
  }

  static std::string failure_of(const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kEnvironment);
      return error.what();
    }
    return "nothing failed";
  }

  PosixFileSystem files_;
  tests::TemporaryDirectory directory_;
};

TEST_F(PosixFiles, ReadsBackWhatWasAppended) {
  const auto file = files_.create(directory_ / "a");
  for (const std::string_view part : {"one ", "", "two"}) file->append(std::as_bytes(std::span(part)));
  file->sync();
  file->close();
  EXPECT_EQ(read_text(files_, directory_ / "a"), "one two");
  EXPECT_EQ(files_.size(directory_ / "a"), 7u);
  std::string middle(3, ' ');
  files_.read(directory_ / "a", 2, std::as_writable_bytes(std::span(middle)));
  EXPECT_EQ(middle, "e t");
}

TEST_F(PosixFiles, CreateTruncates) {
  write("a", "long content");
  write("a", "x");
  EXPECT_EQ(read_text(files_, directory_ / "a"), "x");
}

TEST_F(PosixFiles, ReadingBeyondTheEndNamesPathAndPlace) {
  write("a", "four");
  std::string text(5, ' ');
  EXPECT_THAT(failure_of([&] { files_.read(directory_ / "a", 1, std::as_writable_bytes(std::span(text))); }),
              AllOf(HasSubstr(directory_ / "a"), HasSubstr("ends at byte 4")));
}

TEST_F(PosixFiles, EveryCallOnAMissingPathNamesIt) {
  const std::string missing = directory_ / "none/x";
  for (const std::function<void()>& call : std::initializer_list<std::function<void()>>{
           [&] { files_.create(missing); }, [&] { files_.size(missing); }, [&] { files_.list(missing); },
           [&] { files_.rename(missing, missing + "2"); }, [&] { files_.link(missing, missing + "2"); },
           [&] { files_.sync_directory(missing); }, [&] { files_.free_bytes(missing); },
           [&] { read_text(files_, missing); }}) {
    EXPECT_THAT(failure_of(call), AllOf(HasSubstr(missing), HasSubstr("No such file")));
  }
}

TEST_F(PosixFiles, AFullDiskIsSaidWithAdvice) {
  const auto file = files_.create("/dev/full");
  EXPECT_THAT(failure_of([&] { file->append(std::as_bytes(std::span("x", 1))); }),
              AllOf(HasSubstr("/dev/full"), HasSubstr("No space left"), HasSubstr("Free space there")));
}

TEST_F(PosixFiles, DescriptorsDoNotLeakIntoPrograms) {
  const auto file = files_.create(directory_ / "a");
  const std::string command = "ls -l /proc/self/fd | grep -q " + directory_.path();
  EXPECT_NE(::system(command.c_str()), 0);
}

TEST_F(PosixFiles, ListsNamesSorted) {
  for (const char* name : {"b", "a", ".hidden"}) write(name, "");
  files_.make_directory(directory_ / "c");
  EXPECT_THAT(files_.list(directory_.path()), ElementsAre(".hidden", "a", "b", "c"));
}

TEST_F(PosixFiles, MakesMissingParents) {
  files_.make_directory(directory_ / "x/y//z/");
  files_.make_directory(directory_ / "x/y/z");
  EXPECT_TRUE(files_.is_directory(directory_ / "x/y/z"));
  write("file", "");
  EXPECT_THAT(failure_of([&] { files_.make_directory(directory_ / "file"); }), HasSubstr(directory_ / "file"));
  EXPECT_THAT(failure_of([&] { files_.make_directory(directory_ / "file/below"); }), HasSubstr("Not a directory"));
}

TEST_F(PosixFiles, LinkTellsWhetherTheTargetWasThere) {
  write("a", "content");
  EXPECT_TRUE(files_.link(directory_ / "a", directory_ / "b"));
  EXPECT_FALSE(files_.link(directory_ / "a", directory_ / "b"));
  EXPECT_EQ(read_text(files_, directory_ / "b"), "content");
}

TEST_F(PosixFiles, RenameNewReplacesNothing) {
  write("a", "one");
  write("b", "two");
  EXPECT_FALSE(files_.rename_new(directory_ / "a", directory_ / "b"));
  EXPECT_EQ(read_text(files_, directory_ / "a"), "one");
  EXPECT_EQ(read_text(files_, directory_ / "b"), "two");
  // By the file system's own call, and by a link as where there is no such call.
  EXPECT_TRUE(files_.rename_new(directory_ / "a", directory_ / "c"));
  EXPECT_TRUE(files_.FileSystem::rename_new(directory_ / "c", directory_ / "d"));
  EXPECT_FALSE(files_.FileSystem::rename_new(directory_ / "d", directory_ / "b"));
  EXPECT_EQ(files_.list(directory_.path()), (std::vector<std::string>{"b", "d"}));
  EXPECT_EQ(read_text(files_, directory_ / "d"), "one");
}

TEST_F(PosixFiles, TellsWhenAFileChanged) {
  write("a", "one");
  const timespec times[2] = {{.tv_sec = 5, .tv_nsec = 7}, {.tv_sec = 1234567890, .tv_nsec = 987654321}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (directory_ / "a").c_str(), times, 0), 0);
  EXPECT_EQ(files_.modified(directory_ / "a"), 1234567890987654321);
}

TEST_F(PosixFiles, RenameReplaces) {
  write("a", "new");
  write("b", "old");
  files_.rename(directory_ / "a", directory_ / "b");
  EXPECT_FALSE(files_.exists(directory_ / "a"));
  EXPECT_EQ(read_text(files_, directory_ / "b"), "new");
}

TEST_F(PosixFiles, RemoveTakesFilesAndEmptyDirectoriesOnly) {
  files_.make_directory(directory_ / "d");
  write("d/a", "");
  EXPECT_THAT(failure_of([&] { files_.remove(directory_ / "d"); }), HasSubstr("not empty"));
  files_.remove(directory_ / "d/a");
  files_.remove(directory_ / "d");
  files_.remove(directory_ / "d");
  EXPECT_FALSE(files_.exists(directory_ / "d"));
}

TEST_F(PosixFiles, RemoveTreeTakesAllBelowButFollowsNoLink) {
  files_.make_directory(directory_ / "keep");
  write("keep/a", "kept");
  files_.make_directory(directory_ / "d/e/f");
  write("d/e/a", "");
  ASSERT_EQ(::symlink((directory_ / "keep").c_str(), (directory_ / "d/link").c_str()), 0);
  remove_tree(files_, directory_ / "d");
  remove_tree(files_, directory_ / "d");
  EXPECT_FALSE(files_.exists(directory_ / "d"));
  EXPECT_EQ(read_text(files_, directory_ / "keep/a"), "kept");
}

TEST_F(PosixFiles, ReplaceFileLeavesOnlyTheNewContent) {
  replace_file(files_, directory_ / "a", "first");
  replace_file(files_, directory_ / "a", "second");
  EXPECT_EQ(read_text(files_, directory_ / "a"), "second");
  EXPECT_THAT(files_.list(directory_.path()), ElementsAre("a"));
}

TEST_F(PosixFiles, KnowsFreeSpace) { EXPECT_GT(files_.free_bytes(directory_.path()), 0u); }

/// Writes down the calls that replace_file makes; every other call is a mistake.
class RecordingFiles final : public FileSystem {
 public:
  std::vector<std::string> calls;

  std::unique_ptr<WritableFile> create(const std::string& path) override {
    calls.push_back("create " + path);
    return std::make_unique<File>(calls);
  }
  void rename(const std::string& from, const std::string& to) override { calls.push_back("rename " + from + " " + to); }
  void sync_directory(const std::string& path) override { calls.push_back("sync directory " + path); }
  void read(const std::string&, std::uint64_t, std::span<std::byte>) override { unexpected(); }
  std::uint64_t size(const std::string&) override { return unexpected(); }
  bool exists(const std::string&) override { return unexpected(); }
  bool is_directory(const std::string&) override { return unexpected(); }
  std::vector<std::string> list(const std::string&) override { return {std::to_string(unexpected())}; }
  void make_directory(const std::string&) override { unexpected(); }
  bool link(const std::string&, const std::string&) override { return unexpected(); }
  void remove(const std::string&) override { unexpected(); }
  std::uint64_t free_bytes(const std::string&) override { return unexpected(); }

 private:
  struct File final : WritableFile {
    explicit File(std::vector<std::string>& calls) : calls(calls) {}
    void append(std::span<const std::byte> bytes) override {
      calls.push_back("append " + std::to_string(bytes.size()));
    }
    void sync() override { calls.push_back("sync"); }
    void close() override { calls.push_back("close"); }
    std::vector<std::string>& calls;
  };
  static int unexpected() { throw std::logic_error("unexpected call"); }
};

TEST(ReplaceFile, SyncsContentBeforeTheNameAndTheNameLast) {
  RecordingFiles files;
  replace_file(files, "d/latest", "step-5");
  EXPECT_THAT(files.calls, ElementsAre("create d/latest.tmp", "append 6", "sync", "close",
                                       "rename d/latest.tmp d/latest", "sync directory d"));
}

TEST(Paths, AreTakenApartAndJoined) {
  const struct {
    const char *path, *parent, *name;
  } cases[] = {{"a/b", "a", "b"},  {"a", ".", "a"},    {"/a", "/", "a"}, {"/", "/", ""},
               {"a/b/", "a", "b"}, {"a//b", "a", "b"}, {"", ".", ""},    {"/x/y.h5", "/x", "y.h5"}};
  for (const auto& expected : cases) {
    EXPECT_EQ(parent_of(expected.path), expected.parent) << expected.path;
    EXPECT_EQ(name_of(expected.path), expected.name) << expected.path;
  }
  EXPECT_EQ(join_path("a", "b"), "a/b");
  EXPECT_EQ(join_path("a/", "b"), "a/b");
  EXPECT_EQ(join_path("", "b"), "b");
}

}  // namespace
}  // namespace pathline::core
