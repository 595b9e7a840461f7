// SPDX-License-Identifier: Apache-2.0
// Decoded chunks that are in use: readers who want the same chunk at the same time have it decoded once, and what was
// used last stays while there is room.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace pathline::data {

class DecodedChunks {
 public:
  using Bytes = std::shared_ptr<const std::vector<std::byte>>;

  /// Room for `most_bytes`, and always for the chunk that was asked for last; what readers hold besides is not counted.
  explicit DecodedChunks(std::size_t most_bytes) : most_bytes_(most_bytes) {}

  /// A number that no other reader of this store has.
  std::uint32_t join() { return readers_++; }
  /// Chunk `number` of a reader, made by `decode` where it is not here. What decode throws reaches the caller; others
  /// who wait for the same chunk then try themselves. Any thread.
  Bytes get(std::uint32_t reader, std::uint64_t number, const std::function<std::vector<std::byte>()>& decode);

  /// How many chunks were decoded so far.
  std::uint64_t decoded() const;

 private:
  using Key = std::pair<std::uint32_t, std::uint64_t>;
  struct Entry {
    Bytes bytes;  // null while somebody decodes it
    std::list<Key>::iterator use;
  };
  void forget_oldest();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  const std::size_t most_bytes_;
  std::size_t bytes_ = 0;  // of all entries
  std::uint64_t decoded_ = 0;
  std::atomic<std::uint32_t> readers_ = 0;
  std::map<Key, Entry> entries_;
  std::list<Key> uses_;  // the latest first
};

}  // namespace pathline::data
