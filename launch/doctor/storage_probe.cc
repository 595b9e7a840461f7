// SPDX-License-Identifier: Apache-2.0
#include "launch/doctor/storage_probe.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "core/error.h"
#include "core/machine.h"
#include "launch/doctor/judge_storage.h"

namespace pathline::doctor {
namespace {

constexpr std::size_t kBlock = std::size_t{1} << 20;
constexpr int kSyncs = 15;

/// DIRECTORY/.pathline-probe-HOST-PID, removed at the end as far as storage lets it.
class ProbeDirectory {
 public:
  ProbeDirectory(core::FileSystem& files, const std::string& directory) : files_(files) {
    files.make_directory(directory);
    path_ = core::join_path(directory, core::concat(".pathline-probe-", core::host_name(), "-", ::getpid()));
    files.make_directory(path_);
  }
  ~ProbeDirectory() {
    try {
      core::remove_tree(files_, path_);
    } catch (const core::Error&) {  // storage that is broken has been told of
    }
  }
  ProbeDirectory(const ProbeDirectory&) = delete;
  ProbeDirectory& operator=(const ProbeDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  core::FileSystem& files_;
  std::string path_;
};

/// Not compressible, and another one at every place.
std::vector<std::byte> block_at(std::uint64_t place) {
  std::vector<std::byte> block(kBlock);
  std::uint64_t state = place * 0x9e3779b97f4a7c15u + 1;
  for (auto& byte : block) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    byte = static_cast<std::byte>(state);
  }
  return block;
}

/// So that reading asks the storage and not the cache, where the file system grants it.
void forget_cached(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  ::close(file);
}

Line try_rate(core::FileSystem& files, const std::string& directory, const StorageQuestion& question) {
  const std::string path = core::join_path(directory, "bytes");
  const std::uint64_t blocks = std::max<std::uint64_t>(1, question.bytes / kBlock);
  std::vector<std::vector<std::byte>> content;
  for (std::uint64_t b = 0; b < blocks; ++b) content.push_back(block_at(b));

  Speed speed{.bytes = blocks * kBlock, .checkpoint = question.own_part};
  double begin = core::monotonic_seconds();
  const auto file = files.create(path);
  for (const auto& block : content) file->append(block);
  file->sync();
  file->close();
  speed.write_seconds = core::monotonic_seconds() - begin;

  forget_cached(path);
  std::vector<std::byte> block(kBlock);
  bool same = true;
  begin = core::monotonic_seconds();
  for (std::uint64_t b = 0; b < blocks; ++b) {
    files.read(path, b * kBlock, block);
    same = same && block == content[b];
  }
  speed.read_seconds = core::monotonic_seconds() - begin;
  if (!same) {
    return broken("storage: rate", core::concat("what was written to ", path, " comes back changed"),
                  "do not use this storage; look at the kernel's log and check the disk or the file server");
  }
  return judge_speed(speed);
}

/// The library that a call to fsync ends in, if it is not the C library.
std::string implementer_of_fsync() {
  const std::array<void*, 2> ours{::dlsym(RTLD_DEFAULT, "fsync"), ::dlsym(RTLD_DEFAULT, "memcpy")};
  std::array<Dl_info, 2> info{};
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (!ours[i] || ::dladdr(ours[i], &info[i]) == 0) return "";
  }
  const std::string fsync = info[0].dli_fname;
  return fsync == info[1].dli_fname || fsync.find("libc.so") != std::string::npos ? "" : fsync;
}

/// Through the system calls themselves: how long a sync of 4 KiB takes, and nothing around it.
Sync time_syncs(const std::string& path) {
  Sync sync;
  sync.implementer = implementer_of_fsync();
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  PL_CHECK(file >= 0, core::ExitCode::kEnvironment, "cannot create ", path, ": ", core::errno_text(),
           ". Check the directory.");
  const std::vector<std::byte> page = block_at(7);
  std::vector<double> seconds;
  for (int i = 0; i < kSyncs; ++i) {
    bool well = ::pwrite(file, page.data(), 4096, 4096L * i) == 4096;
    const double begin = core::monotonic_seconds();
    well = well && ::fsync(file) == 0;
    seconds.push_back(core::monotonic_seconds() - begin);
    const std::string reason = core::errno_text();
    if (!well) ::close(file);
    PL_CHECK(well, core::ExitCode::kEnvironment, "cannot write and sync ", path, ": ", reason,
             " (checkpoints do so). Check space, quota and mount of the directory.");
  }
  ::close(file);
  std::nth_element(seconds.begin(), seconds.begin() + kSyncs / 2, seconds.end());
  sync.seconds = seconds[kSyncs / 2];
  return sync;
}

std::string why_not_locked(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file < 0) return "";  // writing there is judged elsewhere
  const std::string reason = ::flock(file, LOCK_EX | LOCK_NB) == 0 ? "" : core::errno_text();
  ::close(file);
  return reason;
}

Space look_at_space(core::FileSystem& files, const StorageQuestion& question) {
  Space space{
      .free = files.free_bytes(question.directory), .free_files = kAnyNumber, .checkpoint = question.checkpoint};
  struct statvfs status = {};
  if (::statvfs(question.directory.c_str(), &status) == 0 && status.f_files > 0) space.free_files = status.f_favail;
  return space;
}

Mount mount_below(const std::string& directory) {
  std::ifstream file("/proc/self/mountinfo");
  std::ostringstream text;
  text << file.rdbuf();
  const std::unique_ptr<char, decltype(&::free)> real(::realpath(directory.c_str(), nullptr), &::free);
  return mount_of(text.str(), real ? real.get() : directory);
}

}  // namespace

Line try_commit(core::FileSystem& files, const std::string& directory) {
  const char* name = "storage: commit";
  const std::string a = core::join_path(directory, "a"), b = core::join_path(directory, "b"),
                    c = core::join_path(directory, "c");
  core::replace_file(files, a, "first");
  core::replace_file(files, b, "second");
  files.rename(a, b);
  if (files.exists(a) || core::read_text(files, b) != "first") {
    return broken(name, core::concat("rename does not replace in ", directory),
                  "checkpoints need it: choose another file system");
  }
  if (!files.link(b, c) || files.link(b, c)) {
    return broken(name, core::concat("link() does not refuse a name that exists in ", directory),
                  "the run lock needs it: choose another file system");
  }
  files.sync_directory(directory);
  return good(name, "rename replaces, link() refuses an existing name, directories are synced");
}

std::vector<Line> look_at_storage(core::FileSystem& files, const StorageQuestion& question) {
  std::vector<Line> lines;
  const ProbeDirectory probe(files, question.directory);
  const Mount mount = mount_below(question.directory);
  const char* locking = std::getenv("HDF5_USE_FILE_LOCKING");
  lines.push_back(judge_mount(question.directory, mount, locking ? locking : "",
                              why_not_locked(core::join_path(probe.path(), "lock"))));
  lines.push_back(judge_space(question.directory, look_at_space(files, question)));
  const auto attempt = [&](const char* name, const auto& what) {
    try {
      lines.push_back(what());
    } catch (const core::Error& error) {
      lines.push_back(
          broken(name, error.what(), "free space or raise the quota, check the mount, or choose another directory"));
    }
  };
  attempt("storage: sync", [&] { return judge_sync(mount, time_syncs(core::join_path(probe.path(), "page"))); });
  attempt("storage: commit", [&] { return try_commit(files, probe.path()); });
  attempt("storage: rate", [&] { return try_rate(files, probe.path(), question); });
  return lines;
}

}  // namespace pathline::doctor
