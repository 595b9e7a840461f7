// SPDX-License-Identifier: Apache-2.0
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/cuda/CUDAGraph.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>
#include <exception>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "core/error.h"
#include "model/time_input.h"
#include "sampler/gpu_field.h"

namespace pathline::sampler {
namespace {

constexpr int kWarmUps = 2;             // lets cuBLAS and cuDNN choose kernels and allocate before the capture
constexpr std::size_t kMostShapes = 2;  // a job has one, but while its slots are measured

at::Tensor pinned_like(at::IntArrayRef sizes, at::ScalarType type) {
  return at::empty(sizes, at::TensorOptions().dtype(type).pinned_memory(true));
}

/// An input of the network: the graph reads `device`, the bus `host`.
struct Staged {
  at::Tensor host, device;

  void make_for(const at::Tensor& value, at::Device where) {
    host = pinned_like(value.sizes(), value.scalar_type());
    device = at::empty(value.sizes(), value.options().device(where));
  }
  void send(const at::Tensor& value) {
    host.copy_(value);
    device.copy_(host, /*non_blocking=*/true);
  }
};

/// One batch shape.
struct Pass {
  std::vector<std::int64_t> shape;
  Staged x, t, labels;  // labels: undefined where the network has none
  at::Tensor out;       // on the GPU
  at::cuda::CUDAGraph graph;
};

class GpuNetwork {
 public:
  GpuNetwork(model::VelocityModel& model, NetworkAnswer answer, Launch launch)
      : model_(model),
        answer_(answer),
        launch_(launch),
        time_input_(model::parse_time_input(model.options().time_input)),
        device_(model.parameters().front().tensor.device()),
        stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device_.index())),
        pool_(at::cuda::graph_pool_handle()) {
    PL_ASSERT(device_.is_cuda());
  }

  at::Tensor operator()(const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    const at::NoGradGuard no_grad;
    const c10::cuda::CUDAStreamGuard stream(stream_);
    Pass& pass = pass_for(x, t, labels);
    send(pass, x, t, labels);
    if (launch_ == Launch::kGraph) {
      pass.graph.replay();
    } else {
      pass.out = compute(pass);
    }
    at::Tensor result = pinned_like(pass.out.sizes(), pass.out.scalar_type());
    result.copy_(pass.out, /*non_blocking=*/true);
    stream_.synchronize();
    return result;
  }

 private:
  Pass& pass_for(const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    const auto found = std::ranges::find_if(passes_, [&](const Pass& pass) {
      return x.sizes() == at::IntArrayRef(pass.shape) && pass.labels.host.defined() == labels.defined();
    });
    if (found != passes_.end()) {
      passes_.splice(passes_.begin(), passes_, found);
      return passes_.front();
    }
    while (passes_.size() >= kMostShapes) passes_.pop_back();
    Pass& pass = passes_.emplace_front();
    try {
      pass.shape = x.sizes().vec();
      pass.x.make_for(x, device_);
      pass.t.make_for(t, device_);
      if (labels.defined()) pass.labels.make_for(labels, device_);
      send(pass, x, t, labels);
      if (launch_ == Launch::kGraph) capture(pass);
    } catch (...) {
      passes_.pop_front();
      throw;
    }
    return pass;
  }

  /// The network's own time is computed here: for discrete schedules it takes a table.
  void send(Pass& pass, const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    PL_ASSERT(x.is_cpu() && x.scalar_type() == at::kFloat && t.scalar_type() == at::kFloat);
    pass.x.send(x);
    pass.t.send(answer_ == NetworkAnswer::kVelocity ? model::network_time(time_input_, t) : t);
    if (labels.defined()) pass.labels.send(labels);
  }

  at::Tensor compute(const Pass& pass) {
    model::Condition condition;
    condition.labels = pass.labels.device;
    const at::Tensor all = model_.forward_as_original(pass.x.device, pass.t.device, condition);
    const bool cut = answer_ == NetworkAnswer::kVelocity;
    return all.narrow(1, 0, cut ? pass.x.device.size(1) : all.size(1)).contiguous();
  }

  /// On the stream of its own that captures need. All shapes share one pool of memory: a graph's result is copied away
  /// before another graph is replayed. What the warm-ups used is given back first; while capturing that is not
  /// possible.
  void capture(Pass& pass) {
    for (int n = 0; n < kWarmUps; ++n) compute(pass);
    stream_.synchronize();
    c10::cuda::CUDACachingAllocator::emptyCache();
    bool begun = false;
    try {
      pass.graph.capture_begin(pool_, cudaStreamCaptureModeThreadLocal);
      begun = true;
      pass.out = compute(pass);
      begun = false;
      pass.graph.capture_end();
    } catch (const c10::OutOfMemoryError&) {
      if (begun) leave_capture(pass);
      throw;
    } catch (const std::exception& error) {
      if (begun) leave_capture(pass);
      const std::string text = error.what();
      throw core::Error(core::ExitCode::kUsage,
                        core::concat("the network's forward pass on ", pass.shape.front(),
                                     " rows cannot be captured as a CUDA graph (", text.substr(0, text.find('\n')),
                                     "). Use --no-cuda-graph."));
    }
  }

  /// The stream must not stay in the middle of a capture; what broke it is what will be said.
  static void leave_capture(Pass& pass) {
    try {
      pass.graph.capture_end();
    } catch (const std::exception&) {
    }
  }

  model::VelocityModel& model_;
  const NetworkAnswer answer_;
  const Launch launch_;
  const model::TimeInput time_input_;
  const at::Device device_;
  const c10::cuda::CUDAStream stream_;
  const c10::MempoolId_t pool_;
  std::list<Pass> passes_;  // the newest first
};

}  // namespace

Field gpu_field_of(model::VelocityModel& model, NetworkAnswer answer, Launch launch) {
  const auto network = std::make_shared<GpuNetwork>(model, answer, launch);
  return [network](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    return (*network)(x, t, labels);
  };
}

}  // namespace pathline::sampler
