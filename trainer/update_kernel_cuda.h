// SPDX-License-Identifier: Apache-2.0
// update_kernel.h on a GPU: one pass over the shard in device memory, the same bits. For the device's compiler (C++17),
// too. Only in builds with CUDA.
#pragma once

#include "trainer/update_step.h"

struct CUstream_st;

namespace pathline::trainer {

/// Averages that one pass can update.
inline constexpr int kMostAveragesOnGpu = 8;

/// Arrays in memory of the current device; in the order of `stream` (a cudaStream_t of it).
void update_adamw_cuda(const AdamWStep& step, const ShardArrays& shard, CUstream_st* stream);
void update_lion_cuda(const LionStep& step, const ShardArrays& shard, CUstream_st* stream);

}  // namespace pathline::trainer
