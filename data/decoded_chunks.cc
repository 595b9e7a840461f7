// SPDX-License-Identifier: Apache-2.0
#include "data/decoded_chunks.h"

namespace pathline::data {

// Chunks that somebody still decodes stay: whoever waits for them looks them up again. So does the latest.
void DecodedChunks::forget_oldest() {
  for (auto at = uses_.end(); bytes_ > most_bytes_ && at != uses_.begin();) {
    --at;
    const auto entry = entries_.find(*at);
    if (!entry->second.bytes || at == uses_.begin()) continue;
    bytes_ -= entry->second.bytes->size();
    entries_.erase(entry);
    at = uses_.erase(at);
  }
}

DecodedChunks::Bytes DecodedChunks::get(std::uint32_t reader, std::uint64_t number,
                                        const std::function<std::vector<std::byte>()>& decode) {
  const Key key(reader, number);
  std::unique_lock lock(mutex_);
  while (true) {
    const auto entry = entries_.find(key);
    if (entry == entries_.end()) break;
    if (entry->second.bytes) {
      uses_.splice(uses_.begin(), uses_, entry->second.use);
      return entry->second.bytes;
    }
    changed_.wait(lock);
  }
  uses_.push_front(key);
  entries_[key] = {nullptr, uses_.begin()};
  lock.unlock();
  Bytes bytes;
  try {
    bytes = std::make_shared<const std::vector<std::byte>>(decode());
  } catch (...) {
    lock.lock();
    uses_.erase(entries_.at(key).use);
    entries_.erase(key);
    changed_.notify_all();
    throw;
  }
  lock.lock();
  ++decoded_;
  bytes_ += bytes->size();
  entries_.at(key).bytes = bytes;
  forget_oldest();
  changed_.notify_all();
  return bytes;
}

std::uint64_t DecodedChunks::decoded() const {
  const std::lock_guard lock(mutex_);
  return decoded_;
}

}  // namespace pathline::data
