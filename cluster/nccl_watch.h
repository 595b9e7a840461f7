// SPDX-License-Identifier: Apache-2.0
// A thread that looks after one NCCL communicator: asynchronous errors, calls that never end, and abort. See
// nccl_communicator.h.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

struct CUevent_st;
struct CUstream_st;
struct ncclComm;

namespace pathline::cluster {

/// Note [NCCL and lost ranks]: when a rank is gone the others' kernels spin for ever; nothing on the stream ends, and
/// cudaStreamSynchronize() with it. NCCL reports errors of the network asynchronously, and a silent rank not at all. So
/// a thread asks for both, by two events around each call: a call may wait long for the computation before it, but not
/// for the other ranks. Results of an aborted call are void, hence there is no way on but the end of the job.
class NcclWatch {
 public:
  /// `on_failure` is called once at most, on the watch's thread, with the reason; it ends the process.
  NcclWatch(ncclComm* communicator, int device, double call_seconds,
            std::function<void(const std::string& reason)> on_failure);
  /// As stop(). The communicator still exists.
  ~NcclWatch();

  /// Ends the thread: nobody asks the communicator any more. From any thread but the watch's own.
  void stop();

  /// Around a call on `stream`, by the thread that makes it. `what` is a literal.
  void begin(const char* what, CUstream_st* stream);
  void end(CUstream_st* stream);

 private:
  struct Call {
    const char* what;
    CUevent_st* reached;
    CUevent_st* done;
    std::optional<double> since;  // seconds, when the thread first saw it reached
  };

  CUevent_st* new_event();
  void watch();
  std::optional<std::string> failure();

  ncclComm* communicator_;
  int device_;
  double call_seconds_;
  std::function<void(const std::string&)> on_failure_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable ends_;
  bool ending_ = false;
  std::deque<Call> calls_;  // not known to be done
  std::vector<CUevent_st*> free_events_;
  std::optional<Call> open_;
  std::thread thread_;
};

/// ncclCommAbort() in a thread of its own, which is left behind if it does not end within `seconds`. Returns whether it
/// did.
bool abort_nccl(ncclComm* communicator, double seconds);

}  // namespace pathline::cluster
