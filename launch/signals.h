// SPDX-License-Identifier: Apache-2.0
// Signals across execve: the front end blocks them and replaces itself, the back end installs its handlers and then
// unblocks, so that a signal in the first moments of a job waits instead of killing it.
#pragma once

namespace pathline::launch {

/// Blocks USR1, USR2, TERM and INT in this thread; kept over execve and inherited by later threads.
void block_job_signals();
void unblock_job_signals();

/// Requests since the handlers were installed; each is taken once.
struct SignalRequests {
  bool stop = false;        // USR2, TERM, INT: checkpoint and stop
  bool checkpoint = false;  // USR1: checkpoint and go on
};

/// Before MPI_Init and LibTorch; then unblocks.
void install_job_signal_handlers();
/// What was asked for since the last call. Safe from any thread.
SignalRequests take_signal_requests();

}  // namespace pathline::launch
