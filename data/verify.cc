// SPDX-License-Identifier: Apache-2.0
#include "data/verify.h"

#include <algorithm>

#include "core/crc32c.h"
#include "core/error.h"
#include "core/log.h"
#include "data/content_digest.h"
#include "data/parallel.h"

namespace pathline::data {
namespace {

constexpr std::int64_t kBlock = 4096;

struct ItemCheck {
  std::uint32_t crc = 0;
  bool checked = false, good = true;
};

ItemCheck check(const ShardSource& source, std::int64_t index) {
  std::vector<std::byte> item(source.info().item_bytes());
  try {
    source.read(index, item);
  } catch (const core::Error& error) {
    core::log_error("item ", index, ": ", error.what());
    return {0, true, false};
  }
  const std::uint32_t crc = core::crc32c(item);
  const auto stored = source.stored_crc(index);
  return {crc, stored.has_value(), !stored || *stored == crc};
}

}  // namespace

Verified verify(const ShardSource& source, int threads, const std::function<void(std::int64_t done)>& progress) {
  const SetInfo& info = source.info();
  ContentDigest digest(info);
  UnorderedDigest unordered(info);
  Verified result;
  std::vector<ItemCheck> block(static_cast<std::size_t>(std::min(kBlock, info.count)));
  for (std::int64_t begin = 0; begin < info.count; begin += kBlock) {
    const std::int64_t end = std::min(info.count, begin + kBlock);
    parallel_for(begin, end, threads,
                 [&](std::int64_t i) { block[static_cast<std::size_t>(i - begin)] = check(source, i); });
    for (std::int64_t i = begin; i < end; ++i) {
      const ItemCheck& item = block[static_cast<std::size_t>(i - begin)];
      digest.add(item.crc, source.label(i));
      unordered.add(item.crc, source.label(i));
      result.checked += item.checked;
      if (!item.good) result.damaged.push_back(i);
    }
    progress(end);
  }
  result.digest = digest.text();
  result.unordered = unordered.text();
  return result;
}

std::vector<std::int64_t> class_counts(const ShardSource& source) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(source.info().classes));
  if (counts.empty()) return counts;
  for (std::int64_t i = 0; i < source.info().count; ++i) ++counts[static_cast<std::size_t>(source.label(i))];
  return counts;
}

}  // namespace pathline::data
