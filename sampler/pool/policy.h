// SPDX-License-Identifier: Apache-2.0
// The pool's judgements, without side effects: which job is served next, how much of it, and what becomes of a range
// that failed.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace pathline::pool {

/// A job that has waiting ranges, as fair share sees it.
struct JobLoad {
  std::int64_t id = 0;
  std::int64_t priority = 0;
  std::int64_t leases = 0;  // that workers hold now
  std::int64_t served = 0;  // token of its latest lease
};

/// Of the highest priority the one with the fewest leases; of equals the one that waits longest for its turn.
std::optional<std::int64_t> job_to_serve(std::span<const JobLoad> jobs);

struct BiteFacts {
  std::int64_t range = 0;    // samples of the waiting range
  std::int64_t waiting = 0;  // samples of the job that nobody has yet
  std::int64_t slots = 16;
  double samples_per_second = 0;  // of one worker; 0: not known yet
  std::int64_t workers = 1;       // alive
};

/// How many samples of a waiting range make one lease: about sampler::kSecondsOfRange, whole batches of `slots`, one
/// batch while the rate is not known, and towards the end of a job so little that all workers end together.
std::int64_t bite(const BiteFacts& facts);

/// What a range has suffered.
struct Trouble {
  std::int64_t samples = 1;
  std::int64_t losses = 0;  // leases that ran out
  std::int64_t errors = 0;  // that workers reported
  std::int64_t deaths = 0;  // different workers that died holding it
};
enum class Verdict { kTryAgain, kCut, kPark };
Verdict judge(const Trouble& trouble);

/// Errors reported for a job as a whole after which it has failed.
inline constexpr std::int64_t kMostJobErrors = 3;
/// More parked samples than these mean that the job, not its samples, is broken.
std::int64_t most_parked(std::int64_t samples_of_job);

/// Beside models a job holds decoders and rows: no worker keeps more jobs than these, whatever their models.
inline constexpr std::size_t kMostJobsKept = 16;

/// Of the jobs that a worker has in memory, the one used last first, each with the names of its models: which stay
/// where at most `most` different models may. The first always stays, whatever it needs; those of the others that need
/// more than is left go.
std::vector<bool> jobs_that_stay(std::span<const std::set<std::string>> models_of_jobs, std::size_t most);

}  // namespace pathline::pool
