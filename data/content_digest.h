// SPDX-License-Identifier: Apache-2.0
// One short text for the content of a data set, in order. Specified in docs/formats/image-store.md, "Content digest".
#pragma once

#include <cstdint>
#include <string>

#include "data/shard_source.h"

namespace pathline::data {

/// Fed with every item in order; of `info` the kind, the sizes and the form of latents count. Equal for one file and
/// for the same items in several parts.
class ContentDigest {
 public:
  explicit ContentDigest(const SetInfo& info);
  /// `crc32c` of the item's stored bytes; `label` -1 where the set has none.
  void add(std::uint32_t crc32c, std::int64_t label);
  /// "fnv1a64:" and 16 hexadecimal digits.
  std::string text() const;
  std::uint64_t hash() const { return hash_; }

 private:
  void add_bytes(std::uint64_t value, int bytes);

  std::uint64_t hash_;
};

/// The same for a set in any order: two parts of a set give the sum of theirs. Specified beside the other.
class UnorderedDigest {
 public:
  /// `info` must outlive this.
  explicit UnorderedDigest(const SetInfo& info) : info_(info) {}
  void add(std::uint32_t crc32c, std::int64_t label);
  /// "sum64:" and 16 hexadecimal digits.
  std::string text() const;

 private:
  const SetInfo& info_;
  std::uint64_t sum_ = 0;
};

}  // namespace pathline::data
