// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "launch/doctor/judge_storage.h"
#include "launch/doctor/storage_probe.h"
#include "tests/support/temporary_directory.h"

namespace pathline::doctor {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

TEST(DoctorMount, IsTheLongestThatLiesAbove) {
  const std::string mounts =
      "21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard\n"
      "30 21 0:25 / /work rw - nfs4 server:/export rw,vers=4.2,soft\n"
      "31 30 0:26 / /work/fast rw,noatime shared:4 master:2 - lustre mds:/f rw\n";
  EXPECT_EQ(mount_of(mounts, "/work/runs").type, "nfs4");
  EXPECT_EQ(mount_of(mounts, "/work/fast").type, "lustre");
  EXPECT_EQ(mount_of(mounts, "/workshop").type, "ext4");
  EXPECT_EQ(judge_mount("/work/runs", mount_of(mounts, "/work/runs"), "", "").verdict, Verdict::kSlow);  // soft
  EXPECT_EQ(judge_mount("/", mount_of(mounts, "/"), "", "").verdict, Verdict::kGood);
}

TEST(DoctorMount, ReadOnlyAndDemandedLocksThatDoNotWorkAreBroken) {
  EXPECT_EQ(judge_mount("d", {"ext4", "ro,relatime"}, "", "").verdict, Verdict::kBroken);
  EXPECT_EQ(judge_mount("d", {"ext4", "rw,errors=remount-ro"}, "", "").verdict, Verdict::kGood);
  EXPECT_EQ(judge_mount("d", {"nfs", "rw"}, "TRUE", "No locks available").verdict, Verdict::kBroken);
  EXPECT_EQ(judge_mount("d", {"nfs", "rw"}, "", "No locks available").verdict, Verdict::kGood);
}

TEST(DoctorSpace, TwoCheckpointsMustFit) {
  EXPECT_EQ(judge_space("d", {.free = 5 * kGiB, .free_files = kAnyNumber, .checkpoint = kGiB}).verdict, Verdict::kGood);
  EXPECT_EQ(judge_space("d", {.free = 3 * kGiB, .free_files = kAnyNumber, .checkpoint = kGiB}).verdict, Verdict::kSlow);
  const Line full = judge_space("d", {.free = kGiB, .free_files = kAnyNumber, .checkpoint = kGiB});
  EXPECT_EQ(full.verdict, Verdict::kBroken);
  EXPECT_THAT(full.found, HasSubstr("two checkpoints take 2.00 GiB"));
  EXPECT_EQ(judge_space("d", {.free = kGiB, .free_files = 3}).verdict, Verdict::kBroken);
  EXPECT_EQ(judge_space("d", {.free = 1 << 20, .free_files = kAnyNumber}).verdict, Verdict::kBroken);
}

TEST(DoctorSync, WhatIsFasterThanAnyDeviceIsBroken) {
  EXPECT_EQ(judge_sync({"ext4", "rw"}, {.seconds = 300e-6, .implementer = ""}).verdict, Verdict::kGood);
  EXPECT_EQ(judge_sync({"ext4", "rw"}, {.seconds = 0.3, .implementer = ""}).verdict, Verdict::kSlow);
  EXPECT_EQ(judge_sync({"ext4", "rw"}, {.seconds = 0.5e-6, .implementer = ""}).verdict, Verdict::kBroken);
  const Line shim = judge_sync({"ext4", "rw"}, {.seconds = 0.1e-6, .implementer = "/usr/lib/libeatmydata.so"});
  EXPECT_EQ(shim.verdict, Verdict::kBroken);
  EXPECT_THAT(shim.found, HasSubstr("libeatmydata.so takes the place of fsync"));
  // A tracer that passes the call on is none.
  EXPECT_EQ(judge_sync({"ext4", "rw"}, {.seconds = 300e-6, .implementer = "/usr/lib/libtrace.so"}).verdict,
            Verdict::kGood);
}

TEST(DoctorSync, MemoryAndVolatileOverlaysAreBrokenHoweverLongTheyTake) {
  EXPECT_EQ(judge_sync({"tmpfs", "rw"}, {.seconds = 1e-3, .implementer = ""}).verdict, Verdict::kBroken);
  EXPECT_EQ(judge_sync({"overlay", "rw,volatile"}, {.seconds = 1e-3, .implementer = ""}).verdict, Verdict::kBroken);
  EXPECT_EQ(judge_sync({"overlay", "rw"}, {.seconds = 1e-3, .implementer = ""}).verdict, Verdict::kGood);
  EXPECT_EQ(judge_sync({"ext4", "rw,nobarrier"}, {.seconds = 1e-3, .implementer = ""}).verdict, Verdict::kSlow);
}

TEST(DoctorSpeed, SaysHowLongACheckpointWouldTake) {
  const Line line = judge_speed({.bytes = kGiB, .write_seconds = 2, .read_seconds = 1, .checkpoint = 10 * kGiB});
  EXPECT_EQ(line.verdict, Verdict::kGood);
  EXPECT_THAT(line.found, HasSubstr("writes 537 MB/s with fsync, reads 1074 MB/s"));
  EXPECT_THAT(line.found, HasSubstr("takes about 20"));
  EXPECT_EQ(judge_speed({.bytes = kGiB, .write_seconds = 60, .read_seconds = 1}).verdict, Verdict::kSlow);
}

/// A file system in which one thing goes wrong; the others are POSIX.
class OneFault : public core::FileSystem {
 public:
  enum class What { kNone, kFull, kRenameCopies, kLinkReplaces, kNoDirectorySync };
  explicit OneFault(What what) : what_(what) {}

  std::unique_ptr<core::WritableFile> create(const std::string& path) override {
    return std::make_unique<File>(files_.create(path), what_ == What::kFull);
  }
  void rename(const std::string& from, const std::string& to) override {
    if (what_ == What::kRenameCopies && files_.exists(to))
      files_.link(from, to);
    else
      files_.rename(from, to);
  }
  bool link(const std::string& from, const std::string& to) override {
    return files_.link(from, to) || what_ == What::kLinkReplaces;
  }
  void sync_directory(const std::string& path) override {
    PL_CHECK(what_ != What::kNoDirectorySync, core::ExitCode::kEnvironment, "cannot sync ", path);
    files_.sync_directory(path);
  }
  void read(const std::string& path, std::uint64_t offset, std::span<std::byte> out) override {
    files_.read(path, offset, out);
  }
  std::uint64_t size(const std::string& path) override { return files_.size(path); }
  bool exists(const std::string& path) override { return files_.exists(path); }
  bool is_directory(const std::string& path) override { return files_.is_directory(path); }
  std::vector<std::string> list(const std::string& directory) override { return files_.list(directory); }
  void make_directory(const std::string& path) override { files_.make_directory(path); }
  void remove(const std::string& path) override { files_.remove(path); }
  std::uint64_t free_bytes(const std::string& path) override { return files_.free_bytes(path); }

 private:
  class File final : public core::WritableFile {
   public:
    File(std::unique_ptr<core::WritableFile> inner, bool full) : inner_(std::move(inner)), full_(full) {}
    void append(std::span<const std::byte> bytes) override {
      PL_CHECK(!full_, core::ExitCode::kEnvironment, "cannot write: no space left on device");
      inner_->append(bytes);
    }
    void sync() override { inner_->sync(); }
    void close() override { inner_->close(); }

   private:
    std::unique_ptr<core::WritableFile> inner_;
    bool full_;
  };

  core::PosixFileSystem files_;
  What what_;
};

const Line& named(const std::vector<Line>& lines, const std::string& name) {
  for (const Line& line : lines) {
    if (line.name == name) return line;
  }
  throw std::out_of_range(name);
}

TEST(DoctorStorage, LeavesNothingBehind) {
  const tests::TemporaryDirectory directory;
  core::PosixFileSystem files;
  const auto lines = look_at_storage(files, {.directory = directory.path(), .bytes = 1 << 20});
  EXPECT_EQ(named(lines, "storage: commit").verdict, Verdict::kGood);
  EXPECT_TRUE(files.list(directory.path()).empty());
}

TEST(DoctorStorage, AQuotaThatFreeSpaceDoesNotShowIsFoundByWriting) {
  const tests::TemporaryDirectory directory;
  OneFault files(OneFault::What::kFull);
  const auto lines = look_at_storage(files, {.directory = directory.path(), .bytes = 1 << 20});
  EXPECT_EQ(named(lines, "storage: rate").verdict, Verdict::kBroken);
  EXPECT_THAT(named(lines, "storage: rate").found, HasSubstr("no space left on device"));
}

TEST(DoctorStorage, WhatACommitRestsOnIsTriedOut) {
  using What = OneFault::What;
  for (const auto& [what, works] : {std::pair(What::kNone, true),
                                    {What::kRenameCopies, false},
                                    {What::kLinkReplaces, false},
                                    {What::kNoDirectorySync, false}}) {
    const tests::TemporaryDirectory directory;
    OneFault files(what);
    const auto lines = look_at_storage(files, {.directory = directory.path(), .bytes = 1 << 20});
    EXPECT_EQ(named(lines, "storage: commit").verdict, works ? Verdict::kGood : Verdict::kBroken)
        << static_cast<int>(what);
  }
}

}  // namespace
}  // namespace pathline::doctor
