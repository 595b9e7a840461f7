// SPDX-License-Identifier: Apache-2.0
#include "apps/sample/set_writer.h"

#include <utility>

#include "core/log.h"
#include "sampler/part_store.h"

namespace pathline::apps {
namespace {

template <class Value>
void tell(std::function<Value(std::int64_t id)>& value_of, const std::function<void()>& progress) {
  if (!value_of) return;
  value_of = [make = std::move(value_of), progress](std::int64_t id) {
    progress();
    return make(id);
  };
}

sampler::SinkOptions options_for(const LoadedJob& job, const std::string& path, const std::function<void()>& progress) {
  sampler::SinkOptions options = sink_options(job.options, job.plan);
  options.path = path;
  tell(options.start_of, progress);
  tell(options.mask_of, progress);
  return options;
}

}  // namespace

SetWriter::SetWriter(core::FileSystem& files, const LoadedJob& job, const std::string& path,
                     const std::function<void()>& progress)
    : files_(files), job_(job), sink_(sampler::make_sink(options_for(job, path, progress))) {}

void SetWriter::put(sampler::Record&& record) {
  if (job_.features) moments_.add(sampler::take_features(record, job_.feature_count));
  sink_->put(std::move(record));
}

void SetWriter::finish() {
  if (job_.features) {
    const sampler::Moments moments = moments_.total();
    sampler::remove_unfinished(files_, job_.options.moments);
    moments.save(files_, job_.options.moments);
    core::log_info(job_.options.moments, ": mean and covariance of ", moments.mean().numel(), " features of ",
                   moments.count(), " samples");
  }
  sink_->finish();
}

}  // namespace pathline::apps
