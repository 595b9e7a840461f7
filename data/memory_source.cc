// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "core/error.h"
#include "data/shard_source.h"

namespace pathline::data {

namespace {

class MemorySource final : public ShardSource {
 public:
  MemorySource(SetInfo info, std::vector<std::byte> values, std::vector<std::int64_t> labels)
      : info_(std::move(info)), values_(std::move(values)), labels_(std::move(labels)) {
    PL_ASSERT(values_.size() == static_cast<std::size_t>(info_.count) * info_.item_bytes());
    PL_ASSERT(labels_.empty() || labels_.size() == static_cast<std::size_t>(info_.count));
    if (info_.description.empty()) info_.description = core::concat(info_.count, " items in memory");
  }

  const SetInfo& info() const override { return info_; }

  void read(std::int64_t index, std::span<std::byte> out) const override {
    PL_ASSERT(index >= 0 && index < info_.count && out.size() == info_.item_bytes());
    std::copy_n(values_.begin() + index * static_cast<std::int64_t>(out.size()), out.size(), out.begin());
  }

  std::int64_t label(std::int64_t index) const override {
    PL_ASSERT(index >= 0 && index < info_.count);
    return labels_.empty() ? -1 : labels_[static_cast<std::size_t>(index)];
  }

 private:
  SetInfo info_;
  std::vector<std::byte> values_;
  std::vector<std::int64_t> labels_;
};

}  // namespace

std::unique_ptr<ShardSource> source_in_memory(SetInfo info, std::vector<std::byte> values,
                                              std::vector<std::int64_t> labels) {
  return std::make_unique<MemorySource>(std::move(info), std::move(values), std::move(labels));
}

}  // namespace pathline::data
