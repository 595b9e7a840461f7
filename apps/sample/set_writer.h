// SPDX-License-Identifier: Apache-2.0
// From the records of all parts to the set, and to the moments of its features where they are asked for: for `pathline
// sample` and the workers of a pool alike.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "apps/sample/loaded_job.h"
#include "core/file_system.h"
#include "sampler/features.h"
#include "sampler/sink.h"

namespace pathline::apps {

class SetWriter {
 public:
  /// Under the name `path`, in the format of the job's output. `job` and `files` must outlive it. `progress` is called
  /// for every start and mask that finish() makes again.
  SetWriter(
      core::FileSystem& files, const LoadedJob& job, const std::string& path,
      const std::function<void()>& progress = [] {});

  /// Records as parts hold them, ids ascending: so the moments' sums have one order.
  void put(sampler::Record&& record);
  /// The moments appear first, then the set: a start that finds the set finds both.
  void finish();

 private:
  core::FileSystem& files_;
  const LoadedJob& job_;
  const std::unique_ptr<sampler::Sink> sink_;
  sampler::MomentsInOrder moments_;
};

}  // namespace pathline::apps
