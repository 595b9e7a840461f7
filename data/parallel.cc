// SPDX-License-Identifier: Apache-2.0
#include "data/parallel.h"

#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace pathline::data {

void parallel_for(std::int64_t first, std::int64_t last, int threads, const std::function<void(std::int64_t)>& body) {
  std::atomic<std::int64_t> next{first};
  std::exception_ptr failure;
  std::mutex failure_mutex;
  const auto work = [&] {
    try {
      for (std::int64_t i = next++; i < last; i = next++) body(i);
    } catch (...) {
      const std::lock_guard lock(failure_mutex);
      if (!failure) failure = std::current_exception();
      next = last;
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (int i = 1; i < threads && i < last - first; ++i) helpers.emplace_back(work);
    work();
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace pathline::data
