// SPDX-License-Identifier: Apache-2.0
// No run hangs: when nobody gets anywhere any more, the log says which rank is missing and where, and all ranks end.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cluster/communicator.h"
#include "cluster/hang_judge.h"
#include "cluster/heartbeat.h"
#include "cluster/record_exchange.h"
#include "cluster/slow_ranks.h"
#include "cluster/whereabouts.h"
#include "core/file_system.h"

namespace pathline::cluster {

/// Note [Who watches whom]
/// Every rank sends its record to two judges, the first and the last rank (usually on different hosts). Messages never
/// wait for their receiver, so a stopped rank holds up nobody. The first judge names the missing
/// ranks and ends the job with ExitCode::kRankLost; the last does so a moment later, which matters only if the first is
/// itself missing. Should both be, every rank ends the job after Deadlines::without_judge(). A judge counts only time
/// in which it ran itself: a suspended job or an overloaded machine accuses nobody. Ranks that die are the launcher's
/// affair. The thread that judges calls no MPI; see Note [A thread that may get stuck].
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

  /// Not collective: from now on `directory`/heartbeats/rank-N is kept up to date, and a judge without a log file of
  /// its own writes its verdict to `directory`/log.txt. `directory`/heartbeats exists. `files` must outlive it.
  void write_below(core::FileSystem& files, const std::string& directory);

 private:
  void keep_watch();
  void judge();
  void look_for_slow_ranks();
  void end_all(const std::string& why);
  std::string heartbeat() const;

  int rank_, last_;
  int exceptions_;
  Deadlines deadlines_;
  double interval_;  // seconds between records
  std::vector<RankName> names_;
  Whereabouts here_;
  std::optional<RecordExchange> exchange_;

  // The thread's own.
  double now_ = 0;  // seconds that the thread has watched
  SlowRanks slow_;
  RecordExchange::View view_;

  std::mutex mutex_;  // guards the next two
  std::condition_variable ends_;
  bool ended_ = false;
  std::string log_file_;
  std::thread thread_;
  std::unique_ptr<Heartbeat> heartbeat_;
};

}  // namespace pathline::cluster
