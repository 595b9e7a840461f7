// SPDX-License-Identifier: Apache-2.0
#include "core/task_thread.h"

#include "core/machine.h"

namespace pathline::core {

TaskThread::TaskThread() : thread_([this] { work(); }) {}

TaskThread::~TaskThread() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    tasks_.clear();
  }
  changed_.notify_all();
  thread_.join();
}

std::uint64_t TaskThread::post(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  tasks_.push_back(std::move(task));
  changed_.notify_all();
  return ++posted_;
}

void TaskThread::wait_for(std::uint64_t number) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return done_ >= number || failure_; });
  if (failure_) std::rethrow_exception(failure_);
}

void TaskThread::wait_for_all() {
  std::uint64_t last = 0;
  {
    const std::lock_guard lock(mutex_);
    last = posted_;
  }
  wait_for(last);
}

double TaskThread::busy_seconds() {
  const std::lock_guard lock(mutex_);
  return busy_seconds_;
}

void TaskThread::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return ending_ || !tasks_.empty(); });
    if (ending_) return;
    const std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    const double started = monotonic_seconds();
    std::exception_ptr failure;
    try {
      task();
    } catch (...) {
      failure = std::current_exception();
    }
    const double seconds = monotonic_seconds() - started;
    lock.lock();
    busy_seconds_ += seconds;
    ++done_;
    if (failure) {
      failure_ = failure;
      tasks_.clear();
    }
    changed_.notify_all();
  }
}

}  // namespace pathline::core
