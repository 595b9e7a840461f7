// SPDX-License-Identifier: Apache-2.0
#include "sampler/set_in_progress.h"

#include <chrono>
#include <thread>

namespace pathline::sampler {

SetInProgress::SetInProgress(core::FileSystem& files, const std::string& output, IdRange all)
    : files_(files), all_(all), store_(files, output) {}

void SetInProgress::begin(const JobRecord& record) {
  core::make_durable_directory(files_, store_.directory());
  lock_ = std::make_unique<checkpoint::RunLock>(files_, store_.directory());
  store_.open(record);
  missing_ = missing_ranges(all_, store_.committed());
}

std::int64_t SetInProgress::begun() const {
  std::int64_t there = all_.count();
  for (const IdRange& range : missing_) there -= range.count();
  return there;
}

void SetInProgress::wait_for_listing() const {
  constexpr int kSeconds = 60;
  for (int second = 0; second < kSeconds; ++second) {
    if (missing_ranges(all_, store_.committed()).empty()) return;
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

void SetInProgress::end() {
  lock_.reset();
  store_.remove();
}

}  // namespace pathline::sampler
