// SPDX-License-Identifier: Apache-2.0
#include "apps/pool/assembly.h"

#include "apps/sample/set_writer.h"
#include "core/machine.h"
#include "sampler/part_file.h"

namespace pathline::apps {
namespace {

std::vector<sampler::Record> read_part(core::FileSystem& files, const std::string& path, std::uint64_t job,
                                       pool::IdSpan ids) {
  std::vector<std::byte> bytes(files.size(path));
  files.read(path, 0, bytes);
  return sampler::decode_part(bytes, job, {ids.first, ids.last}, path);
}

}  // namespace

pool::CommitReport assemble(core::FileSystem& files, const PreparedJob& job, const pool::Lease& lease,
                            const std::function<void(std::int64_t samples)>& progress) {
  const double start = core::monotonic_seconds();
  std::int64_t samples = 0;
  SetWriter set(files, job, lease.path, [&] { progress(samples); });
  std::size_t next_parked = 0;
  const auto put_parked_before = [&](std::int64_t end) {
    for (; next_parked < lease.parked.size() && lease.parked[next_parked].first < end; ++next_parked) {
      const pool::IdSpan& parked = lease.parked[next_parked];
      for (std::int64_t id = parked.first; id < parked.last; ++id) set.put(job.missing(id));
    }
  };
  for (std::size_t i = 0; i < lease.parts.size(); ++i) {
    put_parked_before(lease.parts[i].first);
    for (sampler::Record& record :
         read_part(files, lease.part_paths.at(i), job.plan.record.identity(), lease.parts[i])) {
      set.put(std::move(record));
      ++samples;
    }
    progress(samples);
  }
  put_parked_before(lease.last);
  set.finish();
  pool::CommitReport report;
  report.bytes = files.is_directory(lease.path) ? 0 : files.size(lease.path);
  report.seconds = core::monotonic_seconds() - start;
  return report;
}

}  // namespace pathline::apps
