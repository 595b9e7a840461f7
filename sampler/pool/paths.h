// SPDX-License-Identifier: Apache-2.0
// Where the files of a pool lie (docs/formats/job-store.md). Names of files in progress carry the lease's token, so
// that a worker that lost its lease can do no harm with them.
#pragma once

#include <cstdint>
#include <string>

#include "sampler/pool/messages.h"

namespace pathline::pool {

std::string part_path(const std::string& pool, std::int64_t job, IdSpan ids);
std::string preview_path(const std::string& pool, std::int64_t job, std::int64_t first);
/// What a worker writes under a lease: a part, or the whole output beside its final name.
std::string source_path(const std::string& pool, std::int64_t job, bool assembly, IdSpan ids, std::int64_t token,
                        const std::string& output);
/// How the names of unfinished outputs of a job begin.
std::string assembly_prefix(std::int64_t job);

}  // namespace pathline::pool
