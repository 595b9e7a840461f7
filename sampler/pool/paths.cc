// SPDX-License-Identifier: Apache-2.0
#include "sampler/pool/paths.h"

#include "core/error.h"
#include "core/file_system.h"

namespace pathline::pool {
namespace {

std::string in_job(const std::string& pool, std::int64_t job, const std::string& name) {
  return core::join_path(core::join_path(pool, core::concat("jobs/", job)), name);
}

}  // namespace

std::string part_path(const std::string& pool, std::int64_t job, IdSpan ids) {
  return in_job(pool, job, core::concat("part-", ids.first, "-", ids.last));
}

std::string preview_path(const std::string& pool, std::int64_t job, std::int64_t first) {
  return in_job(pool, job, core::concat("preview-", first, ".png"));
}

std::string assembly_prefix(std::int64_t job) { return core::concat(".pool-", job, "-"); }

std::string source_path(const std::string& pool, std::int64_t job, bool assembly, IdSpan ids, std::int64_t token,
                        const std::string& output) {
  if (!assembly) return in_job(pool, job, core::concat("part-", ids.first, "-", ids.last, ".", token));
  return core::join_path(core::parent_of(output),
                         core::concat(assembly_prefix(job), token, "-", core::name_of(output)));
}

}  // namespace pathline::pool
