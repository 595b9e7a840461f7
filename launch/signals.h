// SPDX-License-Identifier: Apache-2.0
// Signals across execve: the front end blocks them and replaces itself, the back end installs its handlers and then
// unblocks, so that a signal in the first moments of a job waits instead of killing it.
#pragma once

namespace pathline::launch {

/// Blocks USR1, USR2, TERM and INT in this thread; kept over execve and inherited by later threads.
void block_job_signals();
void unblock_job_signals();

/// Requests since the handlers were installed.
struct SignalRequests {
  bool stop = false;        // USR2, TERM, INT: checkpoint and stop; stays
  bool checkpoint = false;  // USR1: checkpoint and go on; taken once
};

/// Before MPI_Init and LibTorch; then unblocks. A third request to stop that comes from a terminal (INT) ends the
/// process at once with ExitCode::kRankLost; signals within a second of a counted one are the same request.
void install_job_signal_handlers();
/// Safe from any thread.
SignalRequests take_signal_requests();
/// Asked to stop a second time, at least a second after the first: leave out what can wait. Safe from any thread.
bool asked_to_hurry();

}  // namespace pathline::launch
