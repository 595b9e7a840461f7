// SPDX-License-Identifier: Apache-2.0
#include "trainer/flat_layout.h"

#include <algorithm>

#include "cluster/block_layout.h"

namespace pathline::trainer {
namespace {

constexpr std::size_t kAlignment = 16;  // elements: vector loads of a tensor start on a 64-byte boundary

std::size_t round_up(std::size_t value, std::size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

}  // namespace

FlatLayout flat_layout(const std::vector<model::NamedTensor>& parameters) {
  FlatLayout layout;
  std::size_t offset = 0;
  for (auto it = parameters.rbegin(); it != parameters.rend(); ++it) {
    const auto elements = static_cast<std::size_t>(it->tensor.numel());
    layout.tensors.push_back({it->name, it->tensor.sizes().vec(), offset, elements});
    offset = round_up(offset + elements, kAlignment);
  }
  layout.elements = cluster::padded_size(std::max<std::size_t>(offset, 1));
  return layout;
}

Overlap overlap(const FlatTensor& tensor, std::size_t begin, std::size_t end) {
  const std::size_t first = std::max(begin, tensor.offset);
  const std::size_t last = std::min(end, tensor.offset + tensor.elements);
  if (first >= last) return {};
  return {first - tensor.offset, first, last - first};
}

}  // namespace pathline::trainer
