// SPDX-License-Identifier: Apache-2.0
// Note [Streams]: forward, backward and update run on LibTorch's current stream, as its own kernels do; reductions and
// gathers on one stream of higher priority, so that a bucket travels as soon as it is complete. Only events join the
// two, nobody waits on the host but for the norm and the loss.
#include <ATen/core/grad_mode.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include "cluster/cuda_array_math.h"
#include "cluster/nccl_communicator.h"
#include "core/cuda_error.h"
#include "core/error.h"
#include "model/gpu_policy.h"
#include "sampler/compute_device.h"
#include "trainer/backend.h"
#include "trainer/gradient_kernels_cuda.h"
#include "trainer/host_backend.h"
#include "trainer/options.h"
#include "trainer/update_kernel_cuda.h"

namespace pathline::trainer {
namespace {

using c10::cuda::CUDAGuard;
using c10::cuda::CUDAStream;
using c10::cuda::getCurrentCUDAStream;
using core::check_cuda;

/// Everything that `stream` has been asked for so far.
class Event {
 public:
  explicit Event(const CUDAStream& stream) {
    const CUDAGuard device(stream.device());
    check_cuda(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "making an event");
    check_cuda(cudaEventRecord(event_, stream.stream()), "recording an event");
  }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void comes_before(const CUDAStream& stream) const {
    const CUDAGuard device(stream.device());
    check_cuda(cudaStreamWaitEvent(stream.stream(), event_, 0), "waiting for an event");
  }

 private:
  cudaEvent_t event_ = nullptr;
};

class CudaMark final : public ComputeMark {
 public:
  CudaMark(const CUDAStream& compute, const CUDAStream& reductions) : event_(compute), reductions_(reductions) {}
  void before_reductions() override { event_.comes_before(reductions_); }

 private:
  Event event_;
  CUDAStream reductions_;
};

/// From LibTorch's cache, so that all of the device's memory is in one account.
cluster::DeviceAllocator caching_allocator(const CUDAStream& stream) {
  return [stream](std::size_t bytes) -> cluster::ArrayMath::Memory {
    const CUDAGuard device(stream.device());
    void* memory = c10::cuda::CUDACachingAllocator::raw_alloc_with_stream(bytes, stream.stream());
    return {static_cast<std::byte*>(memory), [](std::byte* pointer) {
              if (pointer != nullptr) c10::cuda::CUDACachingAllocator::raw_delete(pointer);
            }};
  };
}

/// The optimizer's pass on the stream of the calling thread, wherever that thread's current device is.
template <class Step, void (*kernel)(const Step&, const ShardArrays&, CUstream_st*)>
void on_current_stream(const Step& step, const ShardArrays& shard) {
  cudaPointerAttributes where{};
  check_cuda(cudaPointerGetAttributes(&where, shard.master), "looking up a pointer");
  PL_ASSERT(where.type == cudaMemoryTypeDevice);
  const CUDAGuard device(static_cast<c10::DeviceIndex>(where.device));
  kernel(step, shard, getCurrentCUDAStream().stream());
}

constexpr UpdateKernels kCudaKernels{on_current_stream<AdamWStep, update_adamw_cuda>,
                                     on_current_stream<LionStep, update_lion_cuda>};

class CudaBackend final : public Backend {
 public:
  CudaBackend(int index, cluster::Communicator& ranks, const cluster::NcclDeadlines& deadlines)
      : device_(at::kCUDA, static_cast<c10::DeviceIndex>(index)),
        stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/true, device_.index())),
        math_(cluster::make_cuda_array_math(index, stream_.stream(), caching_allocator(stream_))),
        ranks_(cluster::make_nccl_communicator(cluster::duplicate(ranks), index, stream_.stream(), deadlines)) {}

  at::Device device() const override { return device_; }
  cluster::Communicator& array_ranks() override { return *ranks_; }
  cluster::ArrayMath& math() override { return *math_; }
  const UpdateKernels& kernels() const override { return kCudaKernels; }

  std::unique_ptr<ComputeMark> mark_compute() override { return std::make_unique<CudaMark>(current(), stream_); }
  void compute_after_reductions() override { Event(stream_).comes_before(current()); }

  void take_gradient(const at::Tensor& gradient, const at::Tensor& into, bool add) override {
    PL_ASSERT(gradient.is_cuda() && gradient.is_contiguous());
    PL_ASSERT(into.is_contiguous() && into.numel() == gradient.numel());
    const CUDAGuard device(device_);
    const auto elements = static_cast<std::size_t>(gradient.numel());
    float* const sum = into.mutable_data_ptr<float>();
    if (gradient.scalar_type() == at::kFloat) {
      take_fp32_cuda(elements, gradient.const_data_ptr<float>(), add, sum, current().stream());
    } else {
      PL_ASSERT(gradient.scalar_type() == at::kBFloat16);
      const auto* bf16 = static_cast<const std::uint16_t*>(gradient.const_data_ptr());
      take_bf16_cuda(elements, bf16, add, sum, current().stream());
    }
  }

 private:
  /// Of the calling thread: streams and current devices belong to threads.
  CUDAStream current() const { return getCurrentCUDAStream(device_.index()); }

  at::Device device_;
  CUDAStream stream_;  // of reductions
  std::unique_ptr<cluster::ArrayMath> math_;
  std::unique_ptr<cluster::Communicator> ranks_;
};

}  // namespace

std::unique_ptr<Backend> make_backend(const Recipe& recipe, cluster::Communicator& ranks) {
  const int index = sampler::choose_gpu({recipe.run.device, "train on the processor with --set run.device=cpu"}, ranks);
  if (index < 0) return make_host_backend(ranks);
  c10::cuda::set_device(static_cast<c10::DeviceIndex>(index));
  model::set_gpu_policy({recipe.train.tf32, recipe.train.reduction == "tree"});
  const cluster::Deadlines watchdog{recipe.run.hang_seconds, recipe.run.hang_grace_seconds};
  return std::make_unique<CudaBackend>(index, ranks, cluster::deadlines_behind(watchdog));
}

}  // namespace pathline::trainer
