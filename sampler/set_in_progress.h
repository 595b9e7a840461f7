// SPDX-License-Identifier: Apache-2.0
// A set that is being made in parts, by one start at a time: what rank 0 does before and after all ranks commit parts.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/run_lock.h"
#include "core/file_system.h"
#include "sampler/job_record.h"
#include "sampler/part_store.h"
#include "sampler/record.h"

namespace pathline::sampler {

class SetInProgress {
 public:
  /// Of the set `output` of ids `all`. `files` must outlive it. Touches nothing.
  SetInProgress(core::FileSystem& files, const std::string& output, IdRange all);

  PartStore& parts() { return store_; }

  /// Takes the job's lock and finds out what is missing. Throws ExitCode::kUsage where parts of another job lie here,
  /// kEnvironment where another start is at work. Rank 0.
  void begin(const JobRecord& record);
  /// What was missing at the beginning, and how many ids were there. Rank 0.
  const std::vector<IdRange>& missing() const { return missing_; }
  std::int64_t begun() const;
  /// Until every part is listed: network file systems may list a directory late. Rank 0.
  void wait_for_listing() const;
  /// The set is written: parts and lock go. Rank 0.
  void end();

 private:
  core::FileSystem& files_;
  const IdRange all_;
  PartStore store_;
  std::unique_ptr<checkpoint::RunLock> lock_;
  std::vector<IdRange> missing_;
};

}  // namespace pathline::sampler
