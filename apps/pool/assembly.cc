// SPDX-License-Identifier: Apache-2.0
#include "apps/pool/assembly.h"

#include "core/error.h"
#include "core/machine.h"
#include "sampler/part_file.h"
#include "sampler/sink.h"

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
  sampler::SinkOptions options = sink_options(job.options, job.plan);
  options.path = lease.path;
  const auto sink = sampler::make_sink(options);
  std::int64_t samples = 0;
  for (std::size_t i = 0; i < lease.parts.size(); ++i) {
    for (sampler::Record& record :
         read_part(files, lease.part_paths.at(i), job.plan.record.identity(), lease.parts[i])) {
      sink->put(std::move(record));
      ++samples;
    }
    progress(samples);
  }
  for (const pool::IdSpan& parked : lease.parked) {
    for (std::int64_t id = parked.first; id < parked.last; ++id) sink->put(job.missing(id));
  }
  sink->finish();
  pool::CommitReport report;
  report.bytes = files.is_directory(lease.path) ? 0 : files.size(lease.path);
  report.seconds = core::monotonic_seconds() - start;
  return report;
}

}  // namespace pathline::apps
