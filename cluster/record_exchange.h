// SPDX-License-Identifier: Apache-2.0
// How the records of all ranks reach the two judges of cluster/watchdog.h, beside whatever the ranks are doing.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "cluster/communicator.h"
#include "cluster/hang_judge.h"
#include "cluster/whereabouts.h"

namespace pathline::cluster {

/// Note [A thread that may get stuck]
/// Messages have a thread of their own, which does nothing else: calls of MPI that should return at once need not (a
/// process that is stopped in the middle of writing to a queue in shared memory may leave its readers spinning inside
/// MPI_Test). So nothing that has to happen waits for this thread: it shares what it last heard, and when it last came
/// back from MPI.
class RecordExchange {
 public:
  /// What is known of all ranks.
  struct View {
    std::vector<Sighting> ranks;
    double talked_at = 0;  // when this rank's messages last made progress
    bool spoken = false;   // the first judge ends all ranks
  };

  /// Collective. The first and the last rank receive a record of all every `interval` seconds. `here` must outlive it.
  RecordExchange(Communicator& ranks, const Whereabouts& here, double interval);
  ~RecordExchange();
  RecordExchange(const RecordExchange&) = delete;
  RecordExchange& operator=(const RecordExchange&) = delete;

  /// Collective: waits until all ranks have come, and goes on with records meanwhile. While an exception unwinds it
  /// leaves the others alone.
  void close();

  /// `now` is the time for what is heard until the next look. Never waits for messages.
  View look(double now);
  /// Tells the last rank that this one, the first, ends all; waits a fraction of a second at most.
  void tell_end();
  /// See Communicator::abort().
  [[noreturn]] void abort(int exit_code);

 private:
  enum class Ending { kNone, kTogether, kAtOnce };

  void run();
  void finish();
  void round();
  bool send_record();
  void take_records();
  void note(int rank, const RankRecord& record);

  std::unique_ptr<Communicator> ranks_;
  const Whereabouts& here_;
  double interval_;
  int exceptions_;
  int last_;
  std::vector<std::unique_ptr<Request>> sending_;  // to each judge; the thread's own

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  View view_;
  double now_ = 0;
  bool ends_all_ = false, told_ = false;
  Ending ending_ = Ending::kNone;
  std::thread thread_;
};

}  // namespace pathline::cluster
