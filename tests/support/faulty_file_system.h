// SPDX-License-Identifier: Apache-2.0
// Counts every call, of files being written too, and fails the k-th as storage fails: with an error, half done, done
// but with its answer lost, full from then on, or stopped there as a process that is killed. Wraps any FileSystem.
#pragma once

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/file_system.h"

namespace pathline::tests {

struct Fault {
  enum class Kind {
    kNone,
    kError,       // the call does nothing and throws; later calls work
    kErrorAfter,  // the call takes effect and throws all the same (a lost answer)
    kFull,        // from this call on nothing that takes up space works; the rest does
    kStop,        // this call and all later ones do nothing and throw: nobody may talk any more either, see stopped()
  };
  Kind kind = Kind::kNone;
  int at = 0;            // call 0, 1, ...
  int reason = EIO;      // errno whose words the error says
  double written = 0.5;  // share of an append that reaches the file before the call fails
};

class FaultyFileSystem final : public core::FileSystem {
 public:
  explicit FaultyFileSystem(core::FileSystem& inner, Fault fault = {}) : inner_(inner), faults_{fault} {}
  FaultyFileSystem(core::FileSystem& inner, std::vector<Fault> faults) : inner_(inner), faults_(std::move(faults)) {}

  /// Runs before every call, with its number and what an error of it would say first ("cannot link"). Only before use.
  void before_calls(std::function<void(int number, const std::string& what)> hook) { before_ = std::move(hook); }

  /// Calls so far.
  int calls() const { return calls_; }
  /// Where an append was cut, or is going to be: the calls that were appends.
  const std::vector<int>& appends() const { return appends_; }
  /// A process that was killed tells the others nothing any more.
  bool stopped() const { return stopped_; }

  std::unique_ptr<core::WritableFile> create(const std::string& path) override {
    std::unique_ptr<core::WritableFile> file;
    call("cannot create", path, kTakesSpace, [&] { file = inner_.create(path); });
    return std::make_unique<File>(*this, path, std::move(file));
  }
  void make_directory(const std::string& path) override {
    call("cannot make directory", path, kTakesSpace, [&] { inner_.make_directory(path); });
  }
  void rename(const std::string& from, const std::string& to) override {
    call("cannot rename " + from + " to", to, kChanges, [&] { inner_.rename(from, to); });
  }
  bool link(const std::string& from, const std::string& to) override {
    bool made = false;
    call("cannot link " + from + " to", to, kTakesSpace, [&] { made = inner_.link(from, to); });
    return made;
  }
  void remove(const std::string& path) override {
    call("cannot remove", path, kChanges, [&] { inner_.remove(path); });
  }
  void sync_directory(const std::string& path) override {
    call("cannot sync directory", path, kChanges, [&] { inner_.sync_directory(path); });
  }
  void read(const std::string& path, std::uint64_t offset, std::span<std::byte> out) override {
    call("cannot read", path, kLooks, [&] { inner_.read(path, offset, out); });
  }
  std::uint64_t size(const std::string& path) override {
    std::uint64_t size = 0;
    call("cannot look at", path, kLooks, [&] { size = inner_.size(path); });
    return size;
  }
  bool exists(const std::string& path) override {
    bool there = false;
    call("cannot look at", path, kLooks, [&] { there = inner_.exists(path); });
    return there;
  }
  bool is_directory(const std::string& path) override {
    bool there = false;
    call("cannot look at", path, kLooks, [&] { there = inner_.is_directory(path); });
    return there;
  }
  std::vector<std::string> list(const std::string& directory) override {
    std::vector<std::string> names;
    call("cannot list", directory, kLooks, [&] { names = inner_.list(directory); });
    return names;
  }
  std::uint64_t free_bytes(const std::string& path) override {
    std::uint64_t bytes = 0;
    call("cannot ask for free space at", path, kLooks, [&] { bytes = inner_.free_bytes(path); });
    return bytes;
  }

 private:
  enum Effect { kLooks, kChanges, kTakesSpace };

  class File final : public core::WritableFile {
   public:
    File(FaultyFileSystem& owner, std::string path, std::unique_ptr<core::WritableFile> inner)
        : owner_(owner), path_(std::move(path)), inner_(std::move(inner)) {}
    void append(std::span<const std::byte> bytes) override {
      owner_.appends_.push_back(owner_.calls_);
      owner_.call(
          "cannot write", path_, kTakesSpace, [&] { inner_->append(bytes); },
          [&](double share) {
            inner_->append(bytes.first(
                std::min(bytes.size(), static_cast<std::size_t>(share * static_cast<double>(bytes.size())))));
          });
    }
    void sync() override {
      owner_.call("cannot sync", path_, kTakesSpace, [&] { inner_->sync(); });
    }
    void close() override {
      owner_.call("cannot close", path_, kChanges, [&] { inner_->close(); });
    }

   private:
    FaultyFileSystem& owner_;
    std::string path_;
    std::unique_ptr<core::WritableFile> inner_;
  };

  /// The fault that call number `call` meets; kNone if none.
  Fault met_by(int call, Effect effect) const {
    for (const Fault& fault : faults_) {
      const bool from_then_on =
          fault.kind == Fault::Kind::kStop || (fault.kind == Fault::Kind::kFull && effect == kTakesSpace);
      if (fault.kind != Fault::Kind::kNone && (from_then_on ? call >= fault.at : call == fault.at)) return fault;
    }
    return {};
  }

  /// `part` is what of the call a failing one has done already.
  void call(
      const std::string& what, const std::string& path, Effect effect, const std::function<void()>& act,
      const std::function<void(double)>& part = [](double) {}) {
    const int number = calls_++;
    if (before_) before_(number, what);
    const Fault fault = met_by(number, effect);
    switch (fault.kind) {
      case Fault::Kind::kNone:
        return act();
      case Fault::Kind::kErrorAfter:
        act();
        break;
      case Fault::Kind::kFull:
        if (effect != kTakesSpace) return act();
        if (number == fault.at) part(fault.written);
        break;
      case Fault::Kind::kStop:
        stopped_ = true;
        [[fallthrough]];
      case Fault::Kind::kError:
        if (number == fault.at) part(fault.written);
        break;
    }
    throw core::Error(
        core::ExitCode::kEnvironment,
        core::concat(what, " ", path, ": ", std::generic_category().message(fault.reason), " (injected)."));
  }

  core::FileSystem& inner_;
  std::vector<Fault> faults_;
  std::function<void(int, const std::string&)> before_;
  std::vector<int> appends_;
  std::atomic<int> calls_ = 0;
  std::atomic<bool> stopped_ = false;
};

}  // namespace pathline::tests
