// SPDX-License-Identifier: Apache-2.0
#include "trainer/pace.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "core/progress.h"

namespace pathline::trainer {
namespace {

constexpr double kLongestPause = 0.25;  // seconds, for a piece of 16 MiB: 64 MB/s disturb nobody

}  // namespace

double pause_after(double worked, double share) { return std::min(worked * (1 / share - 1), kLongestPause); }

void Pace::begin() { since_ = core::monotonic_seconds(); }

void Pace::rest() {
  if (!awaited_.load()) {
    std::this_thread::sleep_for(std::chrono::duration<double>(pause_after(core::monotonic_seconds() - since_, share_)));
  }
  begin();
}

}  // namespace pathline::trainer
