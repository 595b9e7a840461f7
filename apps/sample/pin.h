// SPDX-License-Identifier: Apache-2.0
// Which step of a run a job samples from: a run that is still written has a newer one every few minutes.
#pragma once

#include <optional>
#include <string>

#include "apps/sample/options.h"
#include "cluster/communicator.h"
#include "core/file_system.h"
#include "sampler/job_record.h"

namespace pathline::apps {

/// The step-N that `path` (a run directory, its checkpoints/ or one step-N) means: the one whose manifest `recorded`
/// names, where an earlier start began with it and it is still there, else the newest.
std::string pinned_step(core::FileSystem& files, const std::string& path, const std::string& recorded);

/// `options` with one step-N in place of every run that they name, as rank 0 finds them. `begun` (rank 0): the record
/// of the job that an earlier start began. Files stay as they are. Collective; throws on all ranks together.
SampleOptions with_pinned_steps(core::FileSystem& files, const SampleOptions& options,
                                const std::optional<sampler::JobRecord>& begun, cluster::Communicator& ranks);

}  // namespace pathline::apps
