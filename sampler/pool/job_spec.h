// SPDX-License-Identifier: Apache-2.0
// What a job of the pool asks for: what `pathline sample` would be asked for, under the same names.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace pathline::pool {

/// "auto": the number of slots is what the first worker of the job measures (Dispatcher::set_slots).
inline constexpr std::int64_t kMeasuredSlots = -1;

/// Throws ExitCode::kUsage for a number of slots that no job can have.
void check_slots(std::int64_t slots);

struct JobSpec {
  std::string checkpoint;  // run directory, its checkpoints/ or one step-N; a step-N once it is a job
  std::string output;      // absolute path; its ending decides the format
  std::int64_t count = 0;
  std::int64_t first = 0;  // ids [first, first + count)
  std::uint64_t seed = 0;
  std::int64_t slots = 0;     // a multiple of 16; 0: by count; kMeasuredSlots until a worker has measured
  std::int64_t threads = 1;   // of every worker that takes part: they are part of the bits
  std::int64_t priority = 0;  // higher goes first
  /// Further options of `pathline sample` without their dashes, such as {"solver", "rk4"}; "" for one that takes no
  /// value. Workers read them as `pathline sample` does.
  std::map<std::string, std::string> options;

  bool operator==(const JobSpec&) const = default;
};

/// What may be in `options`.
struct OptionName {
  std::string_view name;
  enum Kind { kValue, kPath, kOutput, kFlag } kind;  // clients make paths absolute; an output need not exist
  bool of_networks = false;                          // says which networks are evaluated, and on what
};
const std::vector<OptionName>& option_names();

/// Reads a JSON object: {"checkpoint": ..., "count": ..., "solver": ..., "rtol": 1e-4}; '_' and '-' in names are the
/// same. Throws ExitCode::kUsage for what is no such object, for an unknown name, a wrong type or a value out of range.
/// `slots` is resolved, but for "auto".
JobSpec parse_job_spec(const std::string& json);
std::string to_json(const JobSpec& spec);

/// The same checks for one that was made otherwise; resolves `slots`.
JobSpec checked(JobSpec spec);

/// Do both evaluate the same networks in batches of the same size? Then their samples may lie in the same batches
/// (sampler::share_batch() has the last word).
bool same_networks(const JobSpec& a, const JobSpec& b);

/// The arguments of `pathline sample` that mean this job.
std::vector<std::string> sample_arguments(const JobSpec& spec);

}  // namespace pathline::pool
