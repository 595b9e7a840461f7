// SPDX-License-Identifier: Apache-2.0
// Ranks as processes that a launcher started, over MPI on host memory.
#pragma once

#include <cstddef>
#include <memory>

#include "cluster/communicator.h"

namespace pathline::cluster {

/// Bytes that one MPI call may move: MPI counts in int. Longer messages are cut.
inline constexpr std::size_t kLargestMessage = std::size_t{1} << 30;

/// A session's world() is a communicator of its own, made in a collective call, or MPI_COMM_WORLD itself, made without
/// a word: for a program that first has to find out, by messages, which ranks reach each other.
enum class FirstContact { kTogether, kByMessages };

/// MPI from MPI_Init_thread(MPI_THREAD_MULTIPLE) to MPI_Finalize: at most one in a process, made before threads that
/// use MPI and destroyed after them. Throws ExitCode::kEnvironment if MPI cannot serve several threads.
/// Note [No MPI_Finalize while an exception unwinds]: the other ranks may wait in a collective that this rank will
/// never reach, and MPI_Finalize would wait for them. The destructor then ends all ranks with exit code 1; a program
/// that wants the error's own code catches it before (run_with_ranks in cluster/session.h).
class MpiSession {
 public:
  /// `contact`: how world() is made.
  explicit MpiSession(FirstContact contact = FirstContact::kTogether);
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  Communicator& world() { return *world_; }

 private:
  int exceptions_;
  std::unique_ptr<Communicator> world_;
};

/// All ranks of the job, apart from the session's own world(). MPI must be running. Collective.
std::unique_ptr<Communicator> make_mpi_communicator(std::size_t largest_message = kLargestMessage);

}  // namespace pathline::cluster
