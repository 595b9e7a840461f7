// SPDX-License-Identifier: Apache-2.0
#include "core/direct_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>

#include "core/error.h"
#include "core/log.h"

namespace pathline::core {
namespace {

using posix::fail;
using posix::retried;

constexpr std::size_t kHugePage = 2 << 20;

void say_buffered(const std::string& path) {
  static std::once_flag once;
  std::call_once(once, [&] {
    log_info("the storage of ", path,
             " refuses O_DIRECT: large files are written through the page cache there, which takes longer.");
  });
}

}  // namespace

DirectFile::DirectFile(const std::string& path, std::uint64_t bytes)
    : path_(path), file_(path, O_WRONLY | O_CREAT | O_TRUNC, "cannot create") {
  reserve(bytes);
}

void DirectFile::Free::operator()(std::byte* memory) const { std::free(memory); }

/// Huge pages: the kernel pins the pages of every direct write, and 4 KiB ones make that the larger part of its work.
DirectFile::Block DirectFile::new_block() {
  Block block(static_cast<std::byte*>(std::aligned_alloc(kHugePage, kBlockBytes)));
  if (!block) throw std::bad_alloc();
  ::madvise(block.get(), kBlockBytes, MADV_HUGEPAGE);  // where the system has them
  return block;
}

/// fallocate() and not posix_fallocate(), which writes zeros where the storage has no such call.
void DirectFile::reserve(std::uint64_t bytes) {
  if (bytes == 0) return;
  if (retried([&] { return ::fallocate(file_.value(), 0, 0, static_cast<off_t>(bytes)); }) == 0) {
    reserved_ = bytes;
  } else if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG) {
    fail(errno, concat("there is no room for the ", bytes, " bytes of"), path_);
  }
}

void DirectFile::append(std::span<const std::byte> bytes) {
  PL_ASSERT(file_.value() >= 0 && !finished_);
  length_ += bytes.size();
  while (!bytes.empty()) {
    if (used_ == 0) {
      if (!blocks_[current_]) blocks_[current_] = new_block();
      if (thread_) thread_->wait_for(tasks_[current_]);
    }
    const auto part = bytes.first(std::min(bytes.size(), kBlockBytes - used_));
    std::memcpy(blocks_[current_].get() + used_, part.data(), part.size());
    used_ += part.size();
    bytes = bytes.subspan(part.size());
    if (used_ == kBlockBytes) hand_over();
  }
}

void DirectFile::hand_over() {
  if (!thread_) {
    direct_ = set_direct(true);
    if (!direct_) say_buffered(path_);
    thread_ = std::make_unique<TaskThread>();
  }
  const std::span<const std::byte> full(blocks_[current_].get(), kBlockBytes);
  tasks_[current_] = thread_->post([this, full] { write(full); });
  current_ = 1 - current_;
  used_ = 0;
}

void DirectFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = retried([&] { return ::write(file_.value(), bytes.data(), bytes.size()); });
    if (written >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    } else if (errno == EINVAL && direct_) {  // some storage takes the flag and refuses the write
      leave_direct();
      say_buffered(path_);
    } else {
      fail(errno, "cannot write", path_);
    }
  }
  // Not to leave it all to fsync(); storage that cannot does so anyway.
  if (!direct_) ::sync_file_range(file_.value(), 0, 0, SYNC_FILE_RANGE_WRITE);
}

bool DirectFile::set_direct(bool direct) {
  const int flags = ::fcntl(file_.value(), F_GETFL);
  return flags >= 0 && ::fcntl(file_.value(), F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

void DirectFile::leave_direct() {
  if (direct_ && !set_direct(false)) fail(errno, "cannot leave direct writing of", path_);
  direct_ = false;
}

void DirectFile::finish() {
  if (finished_) return;
  if (thread_) thread_->wait_for_all();
  leave_direct();
  write({blocks_[current_].get(), used_});
  if (reserved_ > length_ && retried([&] { return ::ftruncate(file_.value(), static_cast<off_t>(length_)); }) != 0) {
    fail(errno, "cannot shorten", path_);
  }
  finished_ = true;
}

void DirectFile::sync() {
  PL_ASSERT(file_.value() >= 0);
  finish();
  file_.sync(path_);
}

void DirectFile::close() {
  if (file_.value() < 0) return;
  finish();
  file_.close(path_);
}

}  // namespace pathline::core
