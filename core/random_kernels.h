// SPDX-License-Identifier: Apache-2.0
// The loops behind Draws::fill_*: one body, compiled once per instruction set. All give the same bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pathline::core {

/// What a row of draws is keyed by, as Philox sees it.
struct DrawKey {
  std::uint32_t purpose;
  std::uint32_t index_low;
  std::uint32_t index_high;
  std::uint32_t seed_low;
  std::uint32_t seed_high;
};

/// Four draws for each of `blocks` blocks from `first_block` on, written to out[0 .. 4 blocks).
using FillKernel = void (*)(const DrawKey& key, std::uint32_t first_block, std::size_t blocks, float* out);

struct FillKernels {
  const char* name;
  FillKernel uniform;
  FillKernel normal;
};

/// Those that this machine can run, the fastest first; never empty.
const std::vector<FillKernels>& fill_kernels();

}  // namespace pathline::core
