// SPDX-License-Identifier: Apache-2.0
// The pool's state machine: jobs, ranges, leases and commits (docs/formats/job-store.md). Everything that must outlive
// the process is in the store before a call returns; only clocks and recent figures live in memory. One thread; no
// HTTP.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/file_system.h"
#include "core/machine.h"
#include "sampler/pool/database.h"
#include "sampler/pool/job_spec.h"
#include "sampler/pool/messages.h"
#include "sampler/pool/policy.h"

namespace pathline::pool {

/// What was asked for does not fit the state of things: an HTTP status of 400 to 499 and why.
class Refused : public std::runtime_error {
 public:
  Refused(int status, const std::string& why) : std::runtime_error(why), status_(status) {}
  int status() const { return status_; }

 private:
  int status_;
};

struct DispatcherOptions {
  std::string pool;  // the directory
  double lease_seconds = 30;
  std::int64_t most_queued = 1000;                            // jobs of which no worker has taken anything yet
  std::function<double()> seconds = core::monotonic_seconds;  // decides about leases
  std::function<double()> wall_seconds = core::wall_seconds;  // for people
  std::function<bool()> still_owner = [] { return true; };    // of the run lock; asked before every rename
};

/// All calls throw Refused, or core::Error: kEnvironment where storage failed (nothing was changed, or the change is
/// finished by a later tick()).
class Dispatcher {
 public:
  /// Opens the store and takes up what it holds: intents are replayed, leases have their full length again.
  Dispatcher(core::FileSystem& files, DispatcherOptions options);

  // For clients.
  std::int64_t submit(JobSpec spec);
  std::vector<JobView> jobs();
  JobView job(std::int64_t id);
  std::vector<RangeView> ranges(std::int64_t job);
  void cancel(std::int64_t id);
  void pause(std::int64_t id, bool paused);
  void drain(bool draining);
  bool draining();
  std::vector<WorkerView> workers();
  const std::deque<Preview>& previews() const { return previews_; }
  const Counters& counters() const { return counters_; }

  // For workers.
  std::string join(const WorkerInfo& worker);
  void leave(const std::string& worker);
  std::optional<Lease> lease(const std::string& worker);
  /// Renews; returns the tokens that are no longer the worker's.
  std::vector<std::int64_t> heartbeat(const std::string& worker, const std::map<std::int64_t, std::int64_t>& done);
  void commit(const std::string& worker, std::int64_t token, const CommitReport& report);
  /// Ends a lease of measuring: from here on the job has so many slots, and its samples can be leased.
  void set_slots(const std::string& worker, std::int64_t token, std::int64_t slots);
  void give_back(const std::string& worker, std::int64_t token, const std::string& reason);
  void report_error(const std::string& worker, std::int64_t token, const ErrorReport& report);

  /// About once a second: leases that ran out, intents that could not be finished, directories of completed jobs.
  void tick();
  double lease_seconds() const { return options_.lease_seconds; }

 private:
  struct Range {
    std::int64_t job = 0;
    std::string kind;
    std::int64_t first = 0, last = 0;
    std::string state;
    std::int64_t token = 0;
    std::string worker;
    std::int64_t suspect = 0, losses = 0, errors = 0;
    std::vector<std::string> dead;
    std::string error;
  };
  struct Held {  // a lease, in memory
    std::int64_t job = 0, first = 0, last = 0, done = 0;
    std::string kind, worker;
    bool suspect = false;
    double deadline = 0;
  };
  struct Seen {  // a worker, in memory
    double last = 0;
    std::int64_t samples = 0;
  };
  struct Done {  // a commit of the last minutes
    double at = 0;
    std::int64_t job = 0, samples = 0;
  };

  // dispatcher.cc
  void load_leases();
  void restart_leases();
  WorkerInfo touch(const std::string& worker);
  std::vector<Range> select_ranges(const std::string& where, const std::vector<Value>& values);
  void take_back(const std::string& where, const std::vector<Value>& values);
  std::optional<Range> leased(std::int64_t token, const std::string& worker);
  std::string job_state(std::int64_t id);
  JobSpec spec_of(std::int64_t id);
  std::string job_directory(std::int64_t job) const;
  // dispatcher_jobs.cc
  JobView view_of(Rows& row);
  double rate_of(std::int64_t job);
  void refuse_outputs_of_others(const JobSpec& spec);
  void fail_job(std::int64_t id, const std::string& why);
  void finish_samples_if_all_are_done(std::int64_t id);
  void forget_leases(std::int64_t job);
  // dispatcher_leases.cc
  std::optional<Range> range_to_serve(const WorkerInfo& worker);
  std::int64_t job_for(const WorkerInfo& worker);
  bool may_hold_more(const std::string& worker, bool& idle);
  std::int64_t bite_of(const Range& range);
  Lease lease_of(const Range& range, const JobSpec& spec);
  void open_samples(std::int64_t job, const JobSpec& spec);
  // dispatcher_trouble.cc
  void suffer(Range range);
  void replace(const Range& range, std::vector<std::int64_t> borders);
  void lose(std::int64_t token, const Held& held);
  void expire();
  void forgive(const std::string& worker);
  // dispatcher_commits.cc
  void finish_commit(std::int64_t token);
  void undo_intent(std::int64_t token);
  [[noreturn]] void refuse_output(std::int64_t job, std::int64_t token, const std::string& target);
  void record_done(std::int64_t token);
  void replay();
  void keep_preview(const Held& range, std::int64_t job, std::int64_t first);
  void tidy_completed();
  bool tidy(std::int64_t job, const std::string& output);

  core::FileSystem& files_;
  DispatcherOptions options_;
  std::unique_ptr<Database> store_;
  std::map<std::int64_t, Held> held_;
  std::map<std::string, Seen> seen_;
  std::deque<Done> recent_;
  std::deque<Preview> previews_;
  std::map<std::int64_t, double> complained_;  // jobs that cannot be tidied: when that was said last
  std::int64_t next_preview_ = 1;
  Counters counters_;
  double last_tick_ = 0;
};

}  // namespace pathline::pool
