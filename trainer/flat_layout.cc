// SPDX-License-Identifier: Apache-2.0
#include "trainer/flat_layout.h"

#include <algorithm>

#include "cluster/block_layout.h"

namespace pathline::trainer {
namespace {

constexpr std::size_t kAlignment = 16;  // elements: vector loads of a tensor start on a 64-byte boundary

std::size_t round_up(std::size_t value, std::size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

}  // namespace

FlatLayout flat_layout(const std::vector<model::NamedTensor>& parameters, std::size_t bucket_elements) {
  FlatLayout layout;
  Bucket bucket;
  std::size_t offset = 0;
  const auto close_bucket = [&] {
    offset = bucket.range.begin + cluster::padded_size(std::max<std::size_t>(offset - bucket.range.begin, 1));
    bucket.range.end = offset;
    bucket.last_tensor = layout.tensors.size();
    layout.buckets.push_back(bucket);
    bucket = {{offset, offset}, layout.tensors.size(), layout.tensors.size()};
  };
  for (auto it = parameters.rbegin(); it != parameters.rend(); ++it) {
    const auto elements = static_cast<std::size_t>(it->tensor.numel());
    layout.tensors.push_back({it->name, it->tensor.sizes().vec(), offset, elements, layout.buckets.size()});
    offset = round_up(offset + elements, kAlignment);
    if (offset - bucket.range.begin >= bucket_elements) close_bucket();
  }
  if (bucket.first_tensor < layout.tensors.size() || layout.buckets.empty()) close_bucket();
  layout.elements = offset;
  return layout;
}

std::vector<cluster::Range> bucket_ranges(const FlatLayout& layout) {
  std::vector<cluster::Range> ranges;
  for (const auto& bucket : layout.buckets) ranges.push_back(bucket.range);
  return ranges;
}

Overlap overlap(const FlatTensor& tensor, const cluster::Range& range) {
  const std::size_t first = std::max(range.begin, tensor.offset);
  const std::size_t last = std::min(range.end, tensor.offset + tensor.elements);
  if (first >= last) return {};
  return {first - tensor.offset, first, last - first};
}

}  // namespace pathline::trainer
