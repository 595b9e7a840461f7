// SPDX-License-Identifier: Apache-2.0
// What made a set, in OUT.job.json beside it (docs/formats/generated-sets.md): by it a start knows that its work is
// done.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/file_system.h"
#include "sampler/job_record.h"

namespace pathline::sampler {

struct SetReport {
  JobRecord job;
  std::int64_t count = 0, failed = 0, nfe = 0, max_nfe = 0, rejected_steps = 0;  // of all samples
};

/// OUT.job.json for the set `output`; trailing '/' do not count.
std::string report_path(const std::string& output);

/// Once the set has its name. Reads the set: the report is of these bytes alone.
void save_report(core::FileSystem& files, const std::string& output, const SetReport& report);

/// Nothing where `output` has no report, or is not what its report was written for.
std::optional<SetReport> read_report(core::FileSystem& files, const std::string& output);

}  // namespace pathline::sampler
