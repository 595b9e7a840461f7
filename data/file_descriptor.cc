// SPDX-License-Identifier: Apache-2.0
#include "data/file_descriptor.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "core/text.h"

namespace pathline::data {

using core::ExitCode;

namespace {

constexpr std::array kWaits = {0.1, 0.5, 2.0, 5.0};  // seconds; well below what the watchdog calls a hang

bool may_pass(int reason) {
  constexpr std::array kPassing = {EIO, ESTALE, ESHUTDOWN, ETIMEDOUT, EAGAIN};
  return std::ranges::find(kPassing, reason) != kPassing.end();
}

std::string open_advice(int reason) {
  if (reason != EMFILE) return "Look at its permissions and at the limit of open files.";
  return "This process has as many files open as it may (`ulimit -n`), and a set in many parts keeps one open for "
         "each. Raise the hard limit, on clusters that of the batch system's service, or import the set into fewer "
         "parts.";
}

}  // namespace

ssize_t read_patiently(const std::function<ssize_t()>& read, const std::function<void(double)>& wait) {
  ssize_t got = read();
  for (const double seconds : kWaits) {
    if (got >= 0 || !may_pass(errno)) break;
    wait(seconds);
    got = read();
  }
  return got;
}

FileDescriptor::FileDescriptor(std::string path, Access access)
    : path_(std::move(path)),
      descriptor_(::open(path_.c_str(), (access == Access::kRead ? O_RDONLY : O_RDWR) | O_CLOEXEC)) {
  const int reason = errno;
  PL_CHECK(descriptor_ >= 0, ExitCode::kEnvironment, "cannot open ", path_, " (", core::errno_text(), "). ",
           open_advice(reason));
}

FileDescriptor::FileDescriptor(FileDescriptor&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

FileDescriptor::~FileDescriptor() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void FileDescriptor::read(std::uint64_t offset, std::span<std::byte> out) const {
  for (std::size_t done = 0; done < out.size();) {
    const auto read_on = [&] {
      return ::pread(descriptor_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    };
    const ssize_t got = read_patiently(read_on, [&](double seconds) {
      core::log_warning("cannot read ", path_, " at byte ", offset + done, " (", core::errno_text(),
                        "); it is tried again in ", seconds, " s");
      std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    });
    if (got < 0 && errno == EINTR) continue;
    PL_CHECK(got >= 0, ExitCode::kEnvironment, "cannot read ", path_, " at byte ", offset + done, " (",
             core::errno_text(), "). Look at the disk or the mount.");
    PL_CHECK(got > 0, ExitCode::kInput, path_, " is truncated: it ends at byte ", size(), ", and bytes ", offset,
             " to ", offset + out.size(), " were wanted. It was cut after it was opened; copy or import it again.");
    done += static_cast<std::size_t>(got);
  }
}

std::uint64_t FileDescriptor::size() const {
  struct stat about = {};
  PL_CHECK(::fstat(descriptor_, &about) == 0, ExitCode::kEnvironment, "cannot look at ", path_, " (",
           core::errno_text(), "). Look at the disk or the mount.");
  return static_cast<std::uint64_t>(about.st_size);
}

void FileDescriptor::will_read(std::uint64_t offset, std::uint64_t bytes) const {
  ::posix_fadvise(descriptor_, static_cast<off_t>(offset), static_cast<off_t>(bytes), POSIX_FADV_WILLNEED);
}

void FileDescriptor::write(std::uint64_t offset, std::span<const std::byte> bytes) const {
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t put =
        ::pwrite(descriptor_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (put < 0 && errno == EINTR) continue;
    PL_CHECK(put > 0, ExitCode::kEnvironment, "cannot write ", path_, " at byte ", offset + done, " (",
             core::errno_text(), "). Look for space there.");
    done += static_cast<std::size_t>(put);
  }
}

void FileDescriptor::reserve(std::uint64_t offset, std::uint64_t bytes) const {
  if (::fallocate(descriptor_, 0, static_cast<off_t>(offset), static_cast<off_t>(bytes)) == 0) return;
  const bool full = errno == ENOSPC || errno == EFBIG || errno == EDQUOT;
  PL_CHECK(!full, ExitCode::kEnvironment, "there is no room for the ", core::human_bytes(bytes), " of ", path_, " (",
           core::errno_text(), "). Free space, or write somewhere else.");
}

void FileDescriptor::sync() const {
  PL_CHECK(::fsync(descriptor_) == 0, ExitCode::kEnvironment, "cannot get ", path_, " onto the disk (",
           core::errno_text(), "), so it may not survive a power loss. Look for space and at the disk.");
}

}  // namespace pathline::data
