// SPDX-License-Identifier: Apache-2.0
#include "data/decoded_chunks.h"

#include <algorithm>

namespace pathline::data {

void DecodedChunks::set_most(std::size_t most) {
  const std::lock_guard lock(mutex_);
  most_ = std::max<std::size_t>(most, 1);
  forget_oldest();
}

// Chunks that somebody still decodes stay: whoever waits for them looks them up again.
void DecodedChunks::forget_oldest() {
  for (auto at = uses_.end(); entries_.size() > most_ && at != uses_.begin();) {
    --at;
    const auto entry = entries_.find(*at);
    if (!entry->second.bytes) continue;
    entries_.erase(entry);
    at = uses_.erase(at);
  }
}

DecodedChunks::Bytes DecodedChunks::get(std::uint64_t number, const std::function<std::vector<std::byte>()>& decode) {
  std::unique_lock lock(mutex_);
  while (true) {
    const auto entry = entries_.find(number);
    if (entry == entries_.end()) break;
    if (entry->second.bytes) {
      uses_.splice(uses_.begin(), uses_, entry->second.use);
      return entry->second.bytes;
    }
    changed_.wait(lock);
  }
  uses_.push_front(number);
  entries_[number] = {nullptr, uses_.begin()};
  lock.unlock();
  Bytes bytes;
  try {
    bytes = std::make_shared<const std::vector<std::byte>>(decode());
  } catch (...) {
    lock.lock();
    uses_.erase(entries_.at(number).use);
    entries_.erase(number);
    changed_.notify_all();
    throw;
  }
  lock.lock();
  ++decoded_;
  entries_.at(number).bytes = bytes;
  forget_oldest();
  changed_.notify_all();
  return bytes;
}

std::uint64_t DecodedChunks::decoded() const {
  const std::lock_guard lock(mutex_);
  return decoded_;
}

}  // namespace pathline::data
