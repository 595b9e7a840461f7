// SPDX-License-Identifier: Apache-2.0
// The last lease of a job: all parts become the output, under a name that the dispatcher then changes.
#pragma once

#include <functional>

#include "apps/pool/prepared_job.h"
#include "sampler/pool/worker_link.h"

namespace pathline::apps {

/// Writes lease.path. `progress` is told after each part. Throws ExitCode::kInput for a damaged part, kEnvironment for
/// storage trouble.
pool::CommitReport assemble(core::FileSystem& files, const PreparedJob& job, const pool::Lease& lease,
                            const std::function<void(std::int64_t samples)>& progress);

}  // namespace pathline::apps
