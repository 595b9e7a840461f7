// SPDX-License-Identifier: Apache-2.0
// ArrayMath in the memory of one GPU, in the order of one stream. Only in builds with CUDA.
#pragma once

#include <functional>
#include <memory>

#include "cluster/array_math.h"

struct CUstream_st;

namespace pathline::cluster {

/// Memory of the device; freed when it goes.
using DeviceAllocator = std::function<ArrayMath::Memory(std::size_t bytes)>;

/// cudaMalloc on `device`.
DeviceAllocator cuda_malloc_allocator(int device);

/// `stream` (a cudaStream_t) belongs to `device` and must outlive it. Any thread may call it, one at a time.
std::unique_ptr<ArrayMath> make_cuda_array_math(int device, CUstream_st* stream, DeviceAllocator allocator);

}  // namespace pathline::cluster
