// SPDX-License-Identifier: Apache-2.0
#include "trainer/plain_storage.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "core/error.h"

namespace pathline::trainer {
namespace {

constexpr std::size_t kHugePage = 2 << 20, kBlock = 4096;
constexpr std::size_t kAtOnce = 16 << 20;

class File {
 public:
  File(const std::string& path, int flags, PageCache cache)
      : path_(path),
        value_(::open(path.c_str(), flags | O_CLOEXEC | (cache == PageCache::kPast ? O_DIRECT : 0), 0666)) {
    const bool refuses_direct = value_ < 0 && cache == PageCache::kPast && errno == EINVAL;
    if (!refuses_direct) check(value_ >= 0, "open");
  }
  ~File() {
    if (value_ >= 0) ::close(value_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int value() const { return value_; }  // -1: O_DIRECT is refused

  void check(bool done, const char* what) const {
    PL_CHECK(done, core::ExitCode::kEnvironment, "cannot ", what, " ", path_, " (", core::errno_text(),
             "). Choose another --directory, with more space.");
  }

 private:
  std::string path_;
  int value_;
};

/// call(file, data, size) over all of it.
template <class Call>
bool in_large_parts(const File& file, const char* what, auto bytes, const Call& call) {
  if (file.value() < 0) return false;
  for (bytes = bytes.first(bytes.size() / kBlock * kBlock); !bytes.empty();) {
    const ssize_t done = call(file.value(), bytes.data(), std::min(bytes.size(), kAtOnce));
    file.check(done > 0, what);
    bytes = bytes.subspan(static_cast<std::size_t>(done));
  }
  return true;
}

}  // namespace

AlignedMemory::AlignedMemory(std::size_t bytes) : size_((bytes + kHugePage - 1) / kHugePage * kHugePage) {
  data_ = static_cast<std::byte*>(std::aligned_alloc(kHugePage, size_));
  if (data_ == nullptr) throw std::bad_alloc();
  ::madvise(data_, size_, MADV_HUGEPAGE);
  std::memset(data_, 1, size_);
}

AlignedMemory::~AlignedMemory() { std::free(data_); }

bool write_plainly(const std::string& path, std::span<const std::byte> bytes, PageCache cache) {
  const File file(path, O_CREAT | O_TRUNC | O_WRONLY, cache);
  if (file.value() >= 0) static_cast<void>(::fallocate(file.value(), 0, 0, static_cast<off_t>(bytes.size())));
  if (!in_large_parts(file, "write", bytes, ::write)) return false;
  file.check(::fsync(file.value()) == 0, "sync");
  return true;
}

bool read_plainly(const std::string& path, std::span<std::byte> out, PageCache cache) {
  return in_large_parts(File(path, O_RDONLY, cache), "read", out, ::read);
}

void drop_from_page_cache(const std::string& path) {
  const File file(path, O_RDONLY, PageCache::kThrough);
  file.check(::fsync(file.value()) == 0, "sync");
  ::posix_fadvise(file.value(), 0, 0, POSIX_FADV_DONTNEED);
}

}  // namespace pathline::trainer
