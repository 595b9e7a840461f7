// SPDX-License-Identifier: Apache-2.0
// A file opened for reads and writes at given places, from any number of threads. The FileSystem seam has no such
// calls; the image store reads and writes pixels beside the HDF5 library with them.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

namespace pathline::data {

/// Makes a read again while it fails with what may pass (EIO, ESTALE, ESHUTDOWN, ETIMEDOUT, EAGAIN), a few times, after
/// waits that grow to some seconds: a file server that restarts or a link that changes over is back by then, and one
/// refused read of one rank would end the run of all. Returns the last result, with its errno. `wait` is told seconds.
ssize_t read_patiently(const std::function<ssize_t()>& read, const std::function<void(double)>& wait);

class FileDescriptor {
 public:
  enum class Access { kRead, kWrite };
  FileDescriptor(std::string path, Access access);
  FileDescriptor(FileDescriptor&& other) noexcept;
  ~FileDescriptor();

  /// Fills `out`; a file that ends before is ExitCode::kInput. What storage refuses is asked for again for a few
  /// seconds (read_patiently), then it is ExitCode::kEnvironment.
  void read(std::uint64_t offset, std::span<std::byte> out) const;
  /// How many bytes the file has now.
  std::uint64_t size() const;
  /// Asks for these bytes without waiting for them; a hint that storage may ignore.
  void will_read(std::uint64_t offset, std::uint64_t bytes) const;
  void write(std::uint64_t offset, std::span<const std::byte> bytes) const;
  /// Space for [offset, offset + bytes) now rather than an error late; file systems that cannot do so are left alone.
  void reserve(std::uint64_t offset, std::uint64_t bytes) const;
  void sync() const;

 private:
  std::string path_;
  int descriptor_;
};

}  // namespace pathline::data
