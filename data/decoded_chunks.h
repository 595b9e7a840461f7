// SPDX-License-Identifier: Apache-2.0
// Decoded chunks that are in use: readers who want the same chunk at the same time have it decoded once, and what was
// used last stays while there is room.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace pathline::data {

class DecodedChunks {
 public:
  using Bytes = std::shared_ptr<const std::vector<std::byte>>;

  /// Room for `most` chunks, at least one; those that readers hold besides are not counted.
  explicit DecodedChunks(std::size_t most) : most_(most) {}
  void set_most(std::size_t most);

  /// Chunk `number`, made by `decode` where it is not here. What decode throws reaches the caller; others who wait for
  /// the same chunk then try themselves. Any thread.
  Bytes get(std::uint64_t number, const std::function<std::vector<std::byte>()>& decode);

  /// How many chunks were decoded so far.
  std::uint64_t decoded() const;

 private:
  struct Entry {
    Bytes bytes;  // null while somebody decodes it
    std::list<std::uint64_t>::iterator use;
  };
  void forget_oldest();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t most_;
  std::uint64_t decoded_ = 0;
  std::unordered_map<std::uint64_t, Entry> entries_;
  std::list<std::uint64_t> uses_;  // the latest first
};

}  // namespace pathline::data
