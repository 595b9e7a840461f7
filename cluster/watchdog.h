// SPDX-License-Identifier: Apache-2.0
// No run hangs: when nobody gets anywhere any more, the log says which rank is missing and where, and all ranks end.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cluster/communicator.h"
#include "cluster/hang_judge.h"
#include "cluster/heartbeat.h"
#include "cluster/slow_ranks.h"
#include "cluster/whereabouts.h"
#include "core/file_system.h"

namespace pathline::cluster {

/// Note [Who watches whom]
/// On every rank a thread sends the rank's record to two judges, the first and the last rank (usually on different
/// hosts). Messages never wait for their receiver, so a stopped rank holds up nobody. The first judge names the missing
/// ranks and ends the job with ExitCode::kRankLost; the last does so a moment later, which matters only if the first is
/// itself missing. Should both be, every rank ends the job after Deadlines::without_judge(). A judge counts only time in
/// which it ran itself: a suspended job or an overloaded machine accuses nobody. Ranks that die are the launcher's affair.
class Watchdog {
 public:
  /// Collective. `ranks` (on host memory) are watched from now on.
  Watchdog(Communicator& ranks, const Deadlines& deadlines);
  /// Collective, still watched; while an exception unwinds it leaves the others alone.
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// Where this rank is: to be kept up to date by its owner.
  Whereabouts& here() { return here_; }

  /// Not collective: from now on `directory`/heartbeats/rank-N is kept up to date, and a judge without a log file of its
  /// own writes its verdict to `directory`/log.txt. `directory`/heartbeats exists. `files` must outlive it.
  void write_below(core::FileSystem& files, const std::string& directory);

 private:
  enum class Ending { kNone, kTogether, kAtOnce };

  void run();
  void watch();
  void close();
  void tick();
  void send_record();
  void take_records();
  void note(int rank, const RankRecord& record);
  void judge();
  void look_for_slow_ranks();
  void end_all(const std::string& why);
  std::string heartbeat() const;

  std::unique_ptr<Communicator> ranks_;
  int rank_, last_;
  int exceptions_;
  Deadlines deadlines_;
  double interval_;  // seconds between records
  std::vector<RankName> names_;
  Whereabouts here_;

  // The thread's own.
  double now_ = 0;  // seconds that the thread has watched
  double last_look_;
  std::vector<Sighting> sightings_;
  std::vector<std::unique_ptr<Request>> sending_;  // to each judge
  SlowRanks slow_;
  bool spoken_ = false;  // the other judge has given its verdict

  std::mutex mutex_;  // guards the next two
  std::condition_variable ends_;
  Ending ending_ = Ending::kNone;
  std::string log_file_;
  std::thread thread_;
  std::unique_ptr<Heartbeat> heartbeat_;
};

}  // namespace pathline::cluster
