// SPDX-License-Identifier: Apache-2.0
// Storage that hangs: while held, nothing that changes it returns.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "core/file_system.h"

namespace pathline::tests {

/// Switches of one HeldFileSystem, for all its users.
class Hold {
 public:
  void hold() {
    const std::lock_guard guard(mutex_);
    held_ = true;
  }
  void release() {
    const std::lock_guard guard(mutex_);
    held_ = false;
    changed_.notify_all();
  }
  /// Returns when somebody hangs.
  void wait_until_reached() {
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [&] { return hanging_ > 0; });
  }
  /// Where a call hangs.
  void pass() {
    std::unique_lock guard(mutex_);
    ++hanging_;
    changed_.notify_all();
    changed_.wait(guard, [&] { return !held_; });
    --hanging_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
  int hanging_ = 0;
};

/// Files are written through `inner`; creating, syncing and renaming hang while `hold` is held.
class HeldFileSystem final : public core::FileSystem {
 public:
  HeldFileSystem(core::FileSystem& inner, Hold& hold) : inner_(inner), hold_(hold) {}

  std::unique_ptr<core::WritableFile> create(const std::string& path) override {
    hold_.pass();
    return inner_.create(path);
  }
  void read(const std::string& path, std::uint64_t offset, std::span<std::byte> out) override {
    inner_.read(path, offset, out);
  }
  std::uint64_t size(const std::string& path) override { return inner_.size(path); }
  bool exists(const std::string& path) override { return inner_.exists(path); }
  bool is_directory(const std::string& path) override { return inner_.is_directory(path); }
  std::vector<std::string> list(const std::string& directory) override { return inner_.list(directory); }
  void make_directory(const std::string& path) override { inner_.make_directory(path); }
  void rename(const std::string& from, const std::string& to) override {
    hold_.pass();
    inner_.rename(from, to);
  }
  bool link(const std::string& from, const std::string& to) override { return inner_.link(from, to); }
  void remove(const std::string& path) override { inner_.remove(path); }
  void sync_directory(const std::string& path) override {
    hold_.pass();
    inner_.sync_directory(path);
  }
  std::uint64_t free_bytes(const std::string& path) override { return inner_.free_bytes(path); }

 private:
  core::FileSystem& inner_;
  Hold& hold_;
};

}  // namespace pathline::tests
