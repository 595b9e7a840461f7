// SPDX-License-Identifier: Apache-2.0
// Counts the calls that change storage and fails the k-th, or stops there as a process that is killed: from then on
// nothing reaches storage any more. Wraps any FileSystem.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/file_system.h"

namespace pathline::tests {

class FaultyFileSystem final : public core::FileSystem {
 public:
  enum class Fault {
    kNone,
    kError,          // call k does nothing and throws; later calls work
    kErrorAfter,     // call k takes effect and throws all the same (a lost answer)
    kStop,           // call k and all later ones do nothing and throw
  };

  explicit FaultyFileSystem(core::FileSystem& inner, Fault fault = Fault::kNone, int at = 0)
      : inner_(inner), fault_(fault), at_(at) {}

  /// Calls that change storage so far.
  int calls() const { return calls_; }

  std::unique_ptr<core::WritableFile> create(const std::string& path) override {
    std::unique_ptr<core::WritableFile> file;
    change("create", path, [&] { file = inner_.create(path); });
    return std::make_unique<File>(*this, path, std::move(file));
  }
  void make_directory(const std::string& path) override {
    change("make_directory", path, [&] { inner_.make_directory(path); });
  }
  void rename(const std::string& from, const std::string& to) override {
    change("rename", from, [&] { inner_.rename(from, to); });
  }
  bool link(const std::string& from, const std::string& to) override {
    bool made = false;
    change("link", from, [&] { made = inner_.link(from, to); });
    return made;
  }
  void remove(const std::string& path) override {
    change("remove", path, [&] { inner_.remove(path); });
  }
  void sync_directory(const std::string& path) override {
    change("sync_directory", path, [&] { inner_.sync_directory(path); });
  }

  void read(const std::string& path, std::uint64_t offset, std::span<std::byte> out) override {
    look(path).read(path, offset, out);
  }
  std::uint64_t size(const std::string& path) override { return look(path).size(path); }
  bool exists(const std::string& path) override { return look(path).exists(path); }
  bool is_directory(const std::string& path) override { return look(path).is_directory(path); }
  std::vector<std::string> list(const std::string& directory) override { return look(directory).list(directory); }
  std::uint64_t free_bytes(const std::string& path) override { return look(path).free_bytes(path); }

 private:
  class File final : public core::WritableFile {
   public:
    File(FaultyFileSystem& owner, std::string path, std::unique_ptr<core::WritableFile> inner)
        : owner_(owner), path_(std::move(path)), inner_(std::move(inner)) {}
    void append(std::span<const std::byte> bytes) override {
      owner_.change("append", path_, [&] { inner_->append(bytes); },
                    [&] { inner_->append(bytes.first(bytes.size() / 2)); });
    }
    void sync() override {
      owner_.change("sync", path_, [&] { inner_->sync(); });
    }
    void close() override {
      owner_.change("close", path_, [&] { inner_->close(); });
    }

   private:
    FaultyFileSystem& owner_;
    std::string path_;
    std::unique_ptr<core::WritableFile> inner_;
  };

  [[noreturn]] static void fail(const std::string& what, const std::string& path) {
    throw core::Error(core::ExitCode::kEnvironment, core::concat("injected fault in ", what, " ", path));
  }

  /// `part` is what a failing call has done already (half of an append).
  void change(const std::string& what, const std::string& path, const std::function<void()>& act,
              const std::function<void()>& part = [] {}) {
    const int call = calls_++;
    const bool stopped = fault_ == Fault::kStop && call > at_;
    if (fault_ == Fault::kNone || (call != at_ && !stopped)) return act();
    if (fault_ == Fault::kErrorAfter) act();
    if (fault_ != Fault::kErrorAfter && !stopped) part();
    fail(what, path);
  }

  core::FileSystem& look(const std::string& path) const {
    if (fault_ == Fault::kStop && calls_ > at_) fail("a look at", path);
    return inner_;
  }

  core::FileSystem& inner_;
  Fault fault_;
  int at_;
  int calls_ = 0;
};

}  // namespace pathline::tests
