// SPDX-License-Identifier: Apache-2.0
// Making the samples of leased ranges, slots kept full from one range to the next, and from one job to the next where
// both evaluate the same networks. A range is written and committed by a thread beside the one that computes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "apps/pool/lease_ahead.h"
#include "apps/pool/part_writer.h"
#include "apps/pool/prepared_job.h"
#include "sampler/generate.h"
#include "sampler/pool/worker_link.h"

namespace pathline::apps {

/// A sample that the test of parking wants to fail (PATHLINE_POOL_TEST_POISON=ID, or ID:kill to end the process).
struct Poison {
  std::int64_t id = -1;
  bool kills = false;
  static Poison from_environment();
};

/// The job of a lease, ready; null where it cannot be done, which has then been reported.
using Prepare = std::function<std::shared_ptr<const PreparedJob>(const pool::Lease& lease)>;

class RangeWork {
 public:
  RangeWork(Prepare prepare, pool::WorkerLink& link, LeaseAhead& ahead, PartWriter& writer, std::function<bool()> stop,
            Poison poison);

  /// Makes `first`, which is of `job`, and the leases that come ahead and may share its batches. Leases that an error
  /// or a stop interrupts are reported or given back. Throws pool::Unreachable, and what is_workers_fault() knows.
  void run(std::shared_ptr<const PreparedJob> job, const pool::Lease& first);

 private:
  struct Open {
    std::shared_ptr<const PreparedJob> job;
    pool::Lease lease;
    std::int64_t next = 0, done = 0;
    std::vector<sampler::Record> records;
  };
  struct Stopped : std::runtime_error {
    using std::runtime_error::runtime_error;
  };
  struct Poisoned : std::runtime_error {
    Poisoned(std::int64_t sample, const std::string& text) : std::runtime_error(text), id(sample) {}
    std::int64_t id;
  };

  Open* open(const PreparedJob& job, const pool::Lease& lease);
  Open* unfinished();
  Open* open_next();
  const PreparedJob* joined(const pool::Lease& lease);
  bool overlaps(const pool::Lease& lease) const;
  bool may_join(const pool::Lease& lease) const;
  std::optional<sampler::Request> next();
  void add(sampler::Sample&& sample, const sampler::Statistics& so_far);
  void report(const std::string& error, std::int64_t sample);
  void give_back(const std::string& reason);

  const Prepare prepare_;
  pool::WorkerLink& link_;
  LeaseAhead& ahead_;
  PartWriter& writer_;
  const std::function<bool()> stop_;
  const Poison poison_;
  /// Those whose samples have been in the slots, by id: alive until run() ends, since the engine knows them by address.
  std::map<std::int64_t, std::shared_ptr<const PreparedJob>> jobs_;
  std::shared_ptr<const PreparedJob> job_;                             // whose batches they are
  pool::JobSpec spec_;                                                 // its
  std::map<std::pair<const sampler::Job*, std::int64_t>, Open> open_;  // by job and first id
  sampler::Statistics reported_;                                       // what earlier reports of this run said
  double since_ = 0;                                                   // the last report
};

}  // namespace pathline::apps
