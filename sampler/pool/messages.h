// SPDX-License-Identifier: Apache-2.0
// What dispatcher, workers and clients tell each other, as plain values. JSON forms of what crosses the wire: wire.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "sampler/pool/job_spec.h"

namespace pathline::pool {

/// One process that computes.
struct WorkerInfo {
  std::string name;  // for people
  std::string host;
  std::int64_t pid = 0;
  std::string fingerprint;   // of its kernels; "gpu ..." where they run on a GPU
  std::int64_t threads = 1;  // the most that it can give a job
};

struct IdSpan {
  std::int64_t first = 0, last = 0;
  bool operator==(const IdSpan&) const = default;
};

/// Work for one worker until the dispatcher says otherwise.
struct Lease {
  std::int64_t token = 0;
  std::int64_t job = 0;
  bool assembly = false;  // all parts become the output; else: samples [first, last) become a part
  bool measure = false;   // else: how many slots the job has is to be measured and reported
  std::int64_t first = 0, last = 0;
  std::string path;     // the file to write
  std::string preview;  // a PNG beside it, if one can be made
  JobSpec spec;
  std::vector<IdSpan> parts;  // assembly: committed parts, ascending
  std::vector<std::string> part_paths;
  std::vector<IdSpan> parked;  // assembly: samples that are not there
};

/// The file is written and synced.
struct CommitReport {
  std::uint64_t bytes = 0;  // its length; 0 for a directory
  double seconds = 0;       // of work
  std::int64_t failed = 0;  // samples with status 2
  std::int64_t nfe = 0, max_nfe = 0, rejected = 0, useful_rows = 0, evaluated_rows = 0;
};

struct ErrorReport {
  std::string text;
  bool whole_job = false;    // the model cannot be loaded, an option does not fit: no range is to blame
  std::int64_t sample = -1;  // the one that did it, where that is known
};

struct JobView {
  std::int64_t id = 0;
  JobSpec spec;
  std::string state;
  bool paused = false;
  std::int64_t done = 0, failed = 0;  // samples that are there; that failed or are parked
  std::int64_t parked = 0;
  std::int64_t leases = 0;
  double images_per_second = 0, eta_seconds = -1;  // -1: not known
  double mean_nfe = 0, occupancy = 0, seconds = 0;
  std::int64_t max_nfe = 0, rejected_steps = 0;
  double created_at = 0, finished_at = 0;
  std::string fingerprint, error;
};

struct RangeView {
  std::int64_t first = 0, last = 0;
  std::string state, worker, error;
};

struct WorkerView {
  std::string id;
  WorkerInfo info;
  std::string state;
  double heartbeat_age = -1;                            // -1: this dispatcher has not heard it
  std::int64_t job = 0, first = 0, last = 0, done = 0;  // what it works on; job 0: nothing
  std::string kind;                                     // of that: samples, assembly or slots (which it measures)
  std::int64_t samples = 0;                             // committed since the dispatcher started
};

/// A picture of a few samples of a committed part.
struct Preview {
  std::int64_t id = 0, job = 0, first = 0, last = 0;
  std::vector<std::byte> png;
};

/// Since the dispatcher started.
struct Counters {
  std::int64_t leases = 0, lost = 0, returned = 0, errors = 0, commits = 0, duplicates = 0, parked = 0, samples = 0,
               nfe = 0, rejected = 0, useful_rows = 0, evaluated_rows = 0;
};

}  // namespace pathline::pool
