// SPDX-License-Identifier: Apache-2.0
#include "cluster/cuda_array_math.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <vector>

#include "cluster/block_layout.h"
#include "cluster/cuda_array_kernels.h"
#include "core/cuda_error.h"
#include "core/error.h"

namespace pathline::cluster {
namespace {

using core::check_cuda;

/// Host memory that the device writes results into. What was taken is handed over by deliver() and taken again.
class ResultMemory {
 public:
  /// For one result a block, to be found in `target` after deliver().
  double* take(std::span<double> target) {
    if (target.empty()) return nullptr;
    if (used_ + target.size() > size_) grow(target.size());
    double* const place = chunks_.back().get() + used_;
    used_ += target.size();
    pending_.push_back({place, target});
    return place;
  }

  /// The device has written all.
  void deliver() {
    for (const auto& [place, target] : pending_) std::copy_n(place, target.size(), target.begin());
    pending_.clear();
    if (chunks_.size() > 1) chunks_.erase(chunks_.begin(), chunks_.end() - 1);  // the last one is the largest
    used_ = 0;
  }

 private:
  struct FreePinned {
    void operator()(double* memory) const { cudaFreeHost(memory); }
  };
  struct Pending {
    const double* place;
    std::span<double> target;
  };

  void grow(std::size_t least) {
    size_ = std::max(least, std::max<std::size_t>(2 * size_, 4096));
    void* memory = nullptr;
    check_cuda(cudaHostAlloc(&memory, size_ * sizeof(double), cudaHostAllocPortable | cudaHostAllocMapped),
               "allocating pinned host memory");
    chunks_.emplace_back(static_cast<double*>(memory));
    used_ = 0;
  }

  std::vector<std::unique_ptr<double[], FreePinned>> chunks_;
  std::size_t size_ = 0, used_ = 0;  // of the last chunk
  std::vector<Pending> pending_;
};

class CudaArrayMath final : public ArrayMath {
 public:
  CudaArrayMath(int device, CUstream_st* stream, DeviceAllocator allocator)
      : device_(device), stream_(stream), allocator_(std::move(allocator)) {}

  Memory allocate(std::size_t bytes) override { return allocator_(bytes); }

  void copy(std::span<const float> from, std::span<float> to) override {
    PL_ASSERT(from.size() == to.size());
    if (from.empty() || from.data() == to.data()) return;
    use_device();
    check_cuda(cudaMemcpyAsync(to.data(), from.data(), from.size_bytes(), cudaMemcpyDefault, stream_),
               "copying gradients");
  }

  void add(std::span<const float> left, std::span<const float> right, std::span<float> sum) override {
    PL_ASSERT(left.size() == sum.size() && right.size() == sum.size());
    use_device();
    add_on_gpu(left.data(), right.data(), sum.data(), sum.size(), stream_);
  }

  void sum_squares(std::span<const float> values, std::span<double> squares) override {
    PL_ASSERT(values.size() == squares.size() * kBlock);
    use_device();
    sum_squares_on_gpu(values.data(), squares.size(), results_.take(squares), stream_);
  }

  void add_and_sum_squares(std::span<const float> left, std::span<const float> right, std::span<float> sum,
                           std::span<double> squares) override {
    PL_ASSERT(left.size() == sum.size() && right.size() == sum.size() && sum.size() == squares.size() * kBlock);
    use_device();
    add_and_sum_squares_on_gpu(left.data(), right.data(), sum.data(), squares.size(), results_.take(squares), stream_);
  }

  void finish() override {
    use_device();
    check_cuda(cudaStreamSynchronize(stream_), "reducing gradients");
    results_.deliver();
  }

 private:
  /// The current device belongs to the thread, and a kernel must be started on its stream's own.
  void use_device() const { check_cuda(cudaSetDevice(device_), "choosing the GPU"); }

  int device_;
  CUstream_st* stream_;
  DeviceAllocator allocator_;
  ResultMemory results_;
};

}  // namespace

DeviceAllocator cuda_malloc_allocator(int device) {
  return [device](std::size_t bytes) -> ArrayMath::Memory {
    check_cuda(cudaSetDevice(device), "choosing the GPU");
    void* memory = nullptr;
    check_cuda(cudaMalloc(&memory, std::max<std::size_t>(bytes, 1)), "allocating GPU memory");
    return {static_cast<std::byte*>(memory), [](std::byte* pointer) { cudaFree(pointer); }};
  };
}

std::unique_ptr<ArrayMath> make_cuda_array_math(int device, CUstream_st* stream, DeviceAllocator allocator) {
  return std::make_unique<CudaArrayMath>(device, stream, std::move(allocator));
}

}  // namespace pathline::cluster
