// SPDX-License-Identifier: Apache-2.0
// POSIX calls as file_system.cc and direct_file.cc make them: interrupted ones are repeated, every failure names path
// and reason. Inside this folder only.
#pragma once

#include <cerrno>
#include <string>

namespace pathline::core::posix {

/// Throws ExitCode::kEnvironment. `what` begins the sentence: "cannot write". Takes the reason (an errno) first:
/// building the text may change errno.
[[noreturn]] void fail(int reason, const std::string& what, const std::string& path);

/// Repeats a call while a signal interrupts it.
template <class Call>
auto retried(const Call& call) {
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  return result;
}

/// A file descriptor that is closed at the end of its scope and not inherited by programs.
class Descriptor {
 public:
  /// Opens `path`; `what` is said where that fails.
  Descriptor(const std::string& path, int flags, const char* what);
  ~Descriptor();
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int value() const { return value_; }  // -1 once closed
  void sync(const std::string& path) const;
  /// Where the close itself is worth an error. A second call does nothing.
  void close(const std::string& path);

 private:
  int value_;
};

}  // namespace pathline::core::posix
