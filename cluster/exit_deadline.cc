// SPDX-License-Identifier: Apache-2.0
#include "cluster/exit_deadline.h"

#include <unistd.h>

namespace pathline::cluster {

ExitDeadline::ExitDeadline(std::chrono::milliseconds longest, int exit_code, std::string last_words) {
  thread_ = std::thread([this, longest, exit_code, last_words = std::move(last_words)] {
    std::unique_lock lock(mutex_);
    if (over_.wait_for(lock, longest, [this] { return ended_; })) return;
    // No stdio and no log: another thread may be stuck with their locks.
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, last_words.data(), last_words.size());
    ::_exit(exit_code);
  });
}

ExitDeadline::~ExitDeadline() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  over_.notify_all();
  thread_.join();
}

}  // namespace pathline::cluster
