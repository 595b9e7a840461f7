// SPDX-License-Identifier: Apache-2.0
// One thread that does what it is given, in order.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace pathline::core {

class TaskThread {
 public:
  TaskThread();
  /// Drops what has not begun and waits for what has.
  ~TaskThread();
  TaskThread(const TaskThread&) = delete;
  TaskThread& operator=(const TaskThread&) = delete;

  /// Returns the task's number: 1, 2, ...
  std::uint64_t post(std::function<void()> task);
  /// Returns when tasks up to this number are done. After a task has thrown, later ones are dropped and every wait
  /// throws what it threw.
  void wait_for(std::uint64_t number);
  void wait_for_all();

  /// Seconds that tasks have taken so far.
  double busy_seconds();

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  std::uint64_t posted_ = 0;
  std::uint64_t done_ = 0;
  double busy_seconds_ = 0;
  bool ending_ = false;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace pathline::core
