// SPDX-License-Identifier: Apache-2.0
// Where each parameter lies in the flat buffers: reverse order of execution, every tensor on a 64-byte boundary, cut
// into buckets of whole blocks of 4,096 elements (cluster/block_layout.h). Independent of the number of ranks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cluster/shard_map.h"
#include "model/velocity_model.h"

namespace pathline::trainer {

struct FlatTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::size_t offset = 0;  // elements from the start of the buffer
  std::size_t elements = 0;
  std::size_t bucket = 0;
};

/// What is reduced and gathered in one go: whole tensors.
struct Bucket {
  cluster::Range range;          // elements, padded to whole blocks
  std::size_t first_tensor = 0;  // tensors [first, last) of the layout
  std::size_t last_tensor = 0;
};

struct FlatLayout {
  std::vector<FlatTensor> tensors;  // in buffer order: the last executed first
  std::vector<Bucket> buckets;      // adjacent
  std::size_t elements = 0;         // with all padding
};

/// A bucket ends with the tensor that brings it to `bucket_elements`.
FlatLayout flat_layout(const std::vector<model::NamedTensor>& parameters, std::size_t bucket_elements);

std::vector<cluster::Range> bucket_ranges(const FlatLayout& layout);

/// The part of tensor `t` that lies in `range` of the buffer, as a range of the tensor's own elements.
struct Overlap {
  std::size_t in_tensor = 0;  // first element, counted in the tensor
  std::size_t in_buffer = 0;  // the same element, counted in the buffer
  std::size_t count = 0;      // 0: no overlap
};
Overlap overlap(const FlatTensor& tensor, const cluster::Range& range);

}  // namespace pathline::trainer
