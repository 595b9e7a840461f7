// SPDX-License-Identifier: Apache-2.0
// The last resort of a program that has decided to end: ending itself must not hang.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace pathline::cluster {

/// How long a program that ends all ranks may take for its last words and for MPI_Abort.
inline constexpr std::chrono::seconds kLongestEnding{10};

/// While it lives, a thread of its own waits `longest`; then it writes `last_words` to stderr and ends the process with
/// `exit_code`, whatever the other threads and their locks are doing.
class ExitDeadline {
 public:
  ExitDeadline(std::chrono::milliseconds longest, int exit_code, std::string last_words);
  ~ExitDeadline();
  ExitDeadline(const ExitDeadline&) = delete;
  ExitDeadline& operator=(const ExitDeadline&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable over_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace pathline::cluster
