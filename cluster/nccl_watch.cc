// SPDX-License-Identifier: Apache-2.0
#include "cluster/nccl_watch.h"

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <chrono>
#include <future>

#include "core/cuda_error.h"
#include "core/error.h"
#include "core/machine.h"

namespace pathline::cluster {
namespace {

constexpr std::chrono::milliseconds kInterval{100};

}  // namespace

NcclWatch::NcclWatch(ncclComm* communicator, int device, double call_seconds,
                     std::function<void(const std::string&)> on_failure)
    : communicator_(communicator), device_(device), call_seconds_(call_seconds), on_failure_(std::move(on_failure)) {
  thread_ = std::thread([this] { watch(); });
}

void NcclWatch::stop() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  ends_.notify_all();
  if (thread_.joinable()) thread_.join();
}

NcclWatch::~NcclWatch() {
  stop();
  for (const Call& call : calls_) {
    cudaEventDestroy(call.reached);
    cudaEventDestroy(call.done);
  }
  for (CUevent_st* event : free_events_) cudaEventDestroy(event);
}

void NcclWatch::begin(const char* what, CUstream_st* stream) {
  const std::lock_guard lock(mutex_);
  PL_ASSERT(!open_);
  open_ = Call{what, new_event(), new_event(), std::nullopt};
  core::check_cuda(cudaEventRecord(open_->reached, stream), "recording an event");
}

void NcclWatch::end(CUstream_st* stream) {
  const std::lock_guard lock(mutex_);
  PL_ASSERT(open_);
  core::check_cuda(cudaEventRecord(open_->done, stream), "recording an event");
  calls_.push_back(*open_);
  open_.reset();
}

CUevent_st* NcclWatch::new_event() {
  if (free_events_.empty()) {
    cudaEvent_t event = nullptr;
    core::check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "making an event");
    return event;
  }
  CUevent_st* const event = free_events_.back();
  free_events_.pop_back();
  return event;
}

void NcclWatch::watch() {
  cudaSetDevice(device_);
  // Asking for an event's state must not spoil a graph that another thread captures.
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
  cudaThreadExchangeStreamCaptureMode(&mode);
  std::unique_lock lock(mutex_);
  while (!ends_.wait_for(lock, kInterval, [this] { return ending_; })) {
    const std::optional<std::string> reason = failure();
    if (!reason) continue;
    lock.unlock();
    on_failure_(*reason);
    return;
  }
}

std::optional<std::string> NcclWatch::failure() {
  // The question is no pure one: it also ends what a call of a non-blocking communicator began. Its caller asks then,
  // and two threads must not.
  ncclResult_t state = ncclSuccess;
  const ncclResult_t asked = open_ ? ncclSuccess : ncclCommGetAsyncError(communicator_, &state);
  if (asked != ncclSuccess) state = asked;
  if (state != ncclSuccess && state != ncclInProgress) {
    return core::concat("NCCL reports: ", ncclGetErrorString(state), " (", ncclGetLastError(communicator_), ")");
  }
  while (!calls_.empty() && cudaEventQuery(calls_.front().done) == cudaSuccess) {
    free_events_.push_back(calls_.front().reached);
    free_events_.push_back(calls_.front().done);
    calls_.pop_front();
  }
  if (calls_.empty()) return std::nullopt;
  Call& oldest = calls_.front();
  const cudaError_t reached = cudaEventQuery(oldest.reached);
  if (reached == cudaErrorNotReady) return std::nullopt;
  if (reached != cudaSuccess) return core::concat("the GPU failed: ", cudaGetErrorString(reached));
  if (!oldest.since) oldest.since = core::monotonic_seconds();
  const double waited = core::monotonic_seconds() - *oldest.since;
  if (waited < call_seconds_) return std::nullopt;
  return core::concat("the ranks have not finished ", oldest.what, " within ", call_seconds_, " s");
}

bool abort_nccl(ncclComm* communicator, double seconds) {
  std::promise<void> promise;
  std::future<void> ended = promise.get_future();
  std::thread([communicator, promise = std::move(promise)]() mutable {
    ncclCommAbort(communicator);
    promise.set_value();
  }).detach();
  return ended.wait_for(std::chrono::duration<double>(seconds)) == std::future_status::ready;
}

}  // namespace pathline::cluster
