// SPDX-License-Identifier: Apache-2.0
#include "cluster/whereabouts.h"

#include <chrono>

namespace pathline::cluster {
namespace {

std::int64_t nanoseconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

Phase phase_of(std::int64_t place) { return static_cast<Phase>(place & 0xff); }

}  // namespace

const char* name_of(Phase phase) {
  constexpr std::array kNames = {"setup",  "data",     "compute",    "reduce",  "update", "gather",
                                 "report", "validate", "checkpoint", "preview", "end"};
  return kNames.at(static_cast<std::size_t>(phase));
}

Whereabouts::Whereabouts() : entered_(nanoseconds()) {}

void Whereabouts::enter(Phase phase, std::int64_t step) {
  const std::int64_t now = nanoseconds();
  const Phase left = phase_of(place_.load(std::memory_order_relaxed));
  if (left == Phase::kData) spent_[0].fetch_add(now - entered_, std::memory_order_relaxed);
  if (left == Phase::kCompute) spent_[1].fetch_add(now - entered_, std::memory_order_relaxed);
  // Counted when a step's computation is left for good or for a while: a step may come back to it.
  if (left == Phase::kCompute && computed_step_ != step_) {
    computed_step_ = step_;
    timed_steps_.fetch_add(1, std::memory_order_relaxed);
  }
  entered_ = now;
  step_ = step;
  place_.store(step * 256 + static_cast<std::int64_t>(phase), std::memory_order_relaxed);
  progress();
}

RankRecord Whereabouts::record() const {
  const std::int64_t place = place_.load(std::memory_order_relaxed);
  const double per_unit = 1e-9 / work_.load(std::memory_order_relaxed);
  RankRecord record;
  record.progress = progress_.load(std::memory_order_relaxed);
  record.step = place >> 8;
  record.phase = phase_of(place);
  record.collective = collective_.load(std::memory_order_relaxed);
  record.timed_steps = timed_steps_.load(std::memory_order_relaxed);
  record.data_seconds = static_cast<double>(spent_[0].load(std::memory_order_relaxed)) * per_unit;
  record.compute_seconds = static_cast<double>(spent_[1].load(std::memory_order_relaxed)) * per_unit;
  return record;
}

}  // namespace pathline::cluster
