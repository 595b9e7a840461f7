// SPDX-License-Identifier: Apache-2.0
// Errors that a user can act on, and the exit codes that supervisors rely on (docs/architecture.md, "Exit codes").
#pragma once

#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>

namespace pathline::core {

enum class ExitCode : int {
  kFinished = 0,
  kInternal = 1,     // a mistake of ours
  kUsage = 2,        // command line or recipe
  kInput = 3,        // input data unusable
  kEnvironment = 4,  // device, disk, MPI or library unusable
  kStopped = 64,     // stopped on request, checkpoint written: run me again
  kNoProgress = 65,  // do not run me again
  kNumerical = 66,   // non-finite beyond the recovery policy
  kRankLost = 67,    // a rank hung or was lost: run me again
};

/// Thrown for everything that a user can act on. `what()` is one paragraph:
/// what failed, with value and path (why it matters). What to try.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& paragraph) : std::runtime_error(paragraph), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

/// All arguments written one after the other, as operator<< writes them.
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

/// `strerror` of the current errno, in a form that is safe with threads.
std::string errno_text();

[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

/// Whether it says that this process can no longer use its GPU; lack of memory is no such fault.
bool is_gpu_fault(const std::exception& caught);

/// What an exception means to the user: an Error is itself; memory that could not be had, here or in LibTorch, is
/// kEnvironment (started again alike it would fail alike) with what to try, and so is a fault of a GPU; anything else
/// is kInternal, without stack.
Error as_error(const std::exception& caught);

/// Runs a program's body: returns its exit code; an exception is printed as "error: PARAGRAPH" to stderr and becomes
/// the code of `as_error`. The only place that turns exceptions into exit codes.
int run_program(const std::function<int()>& body);

}  // namespace pathline::core

/// Always on, for input, files and environment: PL_CHECK(count > 0, core::ExitCode::kUsage, "count is ", count, ...).
#define PL_CHECK(condition, code, ...)                                                              \
  do {                                                                                              \
    if (!(condition)) throw ::pathline::core::Error((code), ::pathline::core::concat(__VA_ARGS__)); \
  } while (false)

/// For our own mistakes.
#define PL_ASSERT(condition)                                                              \
  do {                                                                                    \
    if (!(condition)) ::pathline::core::assertion_failed(#condition, __FILE__, __LINE__); \
  } while (false)
