// SPDX-License-Identifier: Apache-2.0
// Where each parameter lies in the flat buffers: reverse order of execution, every tensor on a 64-byte boundary, the
// whole padded to blocks of 4,096 elements (cluster/block_layout.h). Independent of the number of ranks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "model/velocity_model.h"

namespace pathline::trainer {

struct FlatTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::size_t offset = 0;    // elements from the start of the buffer
  std::size_t elements = 0;
};

struct FlatLayout {
  std::vector<FlatTensor> tensors;  // in buffer order: the last executed first
  std::size_t elements = 0;         // padded to whole blocks
};

FlatLayout flat_layout(const std::vector<model::NamedTensor>& parameters);

/// The part of tensor `t` that lies in [begin, end) of the buffer, as a range of the tensor's own elements.
struct Overlap {
  std::size_t in_tensor = 0;  // first element, counted in the tensor
  std::size_t in_buffer = 0;  // the same element, counted in the buffer
  std::size_t count = 0;      // 0: no overlap
};
Overlap overlap(const FlatTensor& tensor, std::size_t begin, std::size_t end);

}  // namespace pathline::trainer
