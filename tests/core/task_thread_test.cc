// SPDX-License-Identifier: Apache-2.0
#include "core/task_thread.h"

#include <gtest/gtest.h>

#include <future>
#include <stdexcept>
#include <vector>

namespace pathline::core {
namespace {

TEST(TaskThread, DoesTasksInOrder) {
  TaskThread thread;
  std::vector<int> done;  // by the one thread, read after the wait
  for (int i = 0; i < 100; ++i) thread.post([&done, i] { done.push_back(i); });
  thread.wait_for_all();
  ASSERT_EQ(done.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(done[static_cast<std::size_t>(i)], i);
}

TEST(TaskThread, WaitsForATaskWithoutTheLaterOnes) {
  TaskThread thread;
  std::promise<void> later;
  bool done = false;
  const auto first = thread.post([&] { done = true; });
  thread.post([&] { later.get_future().wait(); });
  thread.wait_for(first);
  EXPECT_TRUE(done);
  later.set_value();
  thread.wait_for_all();
}

TEST(TaskThread, ThrowsWhatATaskThrewAndDropsTheLaterOnes) {
  TaskThread thread;
  std::promise<void> all_posted;
  bool later = false;
  thread.post([&] {
    all_posted.get_future().wait();
    throw std::out_of_range("bucket 3");
  });
  thread.post([&] { later = true; });
  all_posted.set_value();
  EXPECT_THROW(thread.wait_for_all(), std::out_of_range);
  EXPECT_THROW(thread.wait_for(1), std::out_of_range);
  EXPECT_FALSE(later);
}

}  // namespace
}  // namespace pathline::core
