// SPDX-License-Identifier: Apache-2.0
#include "sampler/list_schedule.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <vector>

namespace pathline::sampler {

std::int64_t list_schedule(std::span<const std::int64_t> nfe, std::int64_t slots) {
  const std::vector<std::int64_t> idle(static_cast<std::size_t>(slots), 0);
  std::priority_queue<std::int64_t, std::vector<std::int64_t>, std::greater<>> free_at(idle.begin(), idle.end());
  std::int64_t end = 0;
  for (const std::int64_t evaluations : nfe) {
    const std::int64_t done = free_at.top() + evaluations;
    free_at.pop();
    free_at.push(done);
    end = std::max(end, done);
  }
  return end;
}

}  // namespace pathline::sampler
