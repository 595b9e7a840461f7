// SPDX-License-Identifier: Apache-2.0
// Making the samples of leased ranges, one job at a time, slots kept full from one range to the next. A range is
// written and committed by a thread beside the one that computes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
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

class RangeWork {
 public:
  RangeWork(const PreparedJob& job, pool::WorkerLink& link, LeaseAhead& ahead, PartWriter& writer,
            std::function<bool()> stop, Poison poison);

  /// Makes `first` and the leases of the same job that come ahead. Leases that an error or a stop interrupts are
  /// reported or given back. Throws pool::Unreachable.
  void run(const pool::Lease& first);

 private:
  struct Open {
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

  void open(const pool::Lease& lease);
  Open* unfinished();
  bool overlaps(const pool::Lease& lease) const;
  std::optional<std::int64_t> next_id();
  void add(sampler::Sample&& sample, const sampler::Statistics& so_far);
  void report(const std::string& error, std::int64_t sample);
  void give_back();

  const PreparedJob& job_;
  pool::WorkerLink& link_;
  LeaseAhead& ahead_;
  PartWriter& writer_;
  const std::function<bool()> stop_;
  const Poison poison_;
  std::map<std::int64_t, Open> open_;  // by first id
  sampler::Statistics reported_;       // what earlier reports of this run said
  double since_ = 0;                   // the last report
};

}  // namespace pathline::apps
