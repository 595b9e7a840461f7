// SPDX-License-Identifier: Apache-2.0
#include "data/file_descriptor.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "core/error.h"
#include "core/text.h"

namespace pathline::data {

using core::ExitCode;

FileDescriptor::FileDescriptor(std::string path, Access access)
    : path_(std::move(path)),
      descriptor_(::open(path_.c_str(), (access == Access::kRead ? O_RDONLY : O_RDWR) | O_CLOEXEC)) {
  PL_CHECK(descriptor_ >= 0, ExitCode::kEnvironment, "cannot open ", path_, " (", core::errno_text(),
           "). Look at its permissions and at the limit of open files.");
}

FileDescriptor::FileDescriptor(FileDescriptor&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

FileDescriptor::~FileDescriptor() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void FileDescriptor::read(std::uint64_t offset, std::span<std::byte> out) const {
  for (std::size_t done = 0; done < out.size();) {
    const ssize_t got = ::pread(descriptor_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
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
