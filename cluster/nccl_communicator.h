// SPDX-License-Identifier: Apache-2.0
// Ranks with a GPU each, for arrays in device memory, over NCCL. Only in builds with CUDA.
#pragma once

#include <algorithm>
#include <limits>
#include <memory>
#include <string>

#include "cluster/communicator.h"
#include "cluster/hang_judge.h"

struct CUstream_st;

namespace pathline::cluster {

struct NcclDeadlines {
  double init_seconds = 300;  // until all ranks have joined
  double call_seconds = 600;  // from the moment the device reaches a call until it is done; infinite: never
};

/// Of ranks that a watchdog looks after: a minute behind it, so that it, which knows who is missing, speaks first. As
/// patient as it is where a rank saves or validates, and for ever where it is.
inline NcclDeadlines deadlines_behind(const Deadlines& watchdog) {
  constexpr double kBehind = 60;
  NcclDeadlines deadlines;
  const double longest =
      watchdog.watched() ? watchdog.step + watchdog.grace + kBehind : std::numeric_limits<double>::infinity();
  deadlines.call_seconds = std::max(deadlines.call_seconds, longest);
  return deadlines;
}

/// The ranks of `host` once more, whose broadcast, gathers, all_to_all and reduce_scatter work on memory of `device`:
/// they are queued on `stream` (a cudaStream_t of that device) and return before they are done. Barrier, reductions of
/// scalars, messages and abort go over `host`, on host memory, at once. subset() gives one on the same stream.
///
/// A rank that is lost or hangs: a thread watches NCCL's asynchronous errors and the calls' deadlines, aborts the
/// communicator from a thread of its own (that itself may hang) and ends the job with ExitCode::kRankLost.
///
/// `host` is for this object alone and reaches the same ranks. Refuses an NCCL library of another major version than
/// its header's. Throws ExitCode::kEnvironment, or kRankLost past the deadline. Collective.
std::unique_ptr<Communicator> make_nccl_communicator(std::unique_ptr<Communicator> host, int device,
                                                     CUstream_st* stream, NcclDeadlines deadlines = {});

/// "2.29.7", of the library that is loaded.
std::string nccl_version();

}  // namespace pathline::cluster
