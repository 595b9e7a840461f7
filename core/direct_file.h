// SPDX-License-Identifier: Apache-2.0
// A large file written past the page cache (O_DIRECT): the page cache halves the speed of durable writing and takes
// memory and memory bandwidth from the training beside it. Inside this folder only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/file_system.h"
#include "core/posix_calls.h"
#include "core/task_thread.h"

namespace pathline::core {

/// Two aligned blocks: append() fills one while a thread writes the other; so large that the device never idles between
/// them. Storage that refuses O_DIRECT (some network file systems) gets the same blocks through the page cache; that is
/// said once in a process. The last, incomplete block goes through the page cache everywhere. Files of less than a
/// block have no thread.
class DirectFile final : public WritableFile {
 public:
  static constexpr std::size_t kBlockBytes = 32 << 20;

  /// Creates or truncates `path` and reserves room for `bytes`: a full disk is noticed here.
  DirectFile(const std::string& path, std::uint64_t bytes);

  /// Not after sync().
  void append(std::span<const std::byte> bytes) override;
  void sync() override;
  void close() override;

 private:
  struct Free {
    void operator()(std::byte* memory) const;
  };
  using Block = std::unique_ptr<std::byte[], Free>;

  static Block new_block();
  void reserve(std::uint64_t bytes);
  /// Gives the current block, which is full, to the thread and turns to the other.
  void hand_over();
  /// In the thread while there is one.
  void write(std::span<const std::byte> bytes);
  bool set_direct(bool direct);
  void leave_direct();
  /// The incomplete block, and the length that the file shall have.
  void finish();

  std::string path_;
  posix::Descriptor file_;
  std::uint64_t reserved_ = 0;
  std::uint64_t length_ = 0;
  bool direct_ = false;  // used by whoever writes
  bool finished_ = false;
  std::array<Block, 2> blocks_;
  std::array<std::uint64_t, 2> tasks_{};  // the thread's last task with each block
  std::size_t current_ = 0;
  std::size_t used_ = 0;                // of the current block
  std::unique_ptr<TaskThread> thread_;  // last: it uses the others
};

}  // namespace pathline::core
