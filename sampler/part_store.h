// SPDX-License-Identifier: Apache-2.0
// The parts of a set that is being made, in OUT.parts beside it (docs/formats/generated-sets.md). What is committed
// here survives the death of anything.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/file_system.h"
#include "sampler/job_record.h"
#include "sampler/record.h"

namespace pathline::sampler {

/// Removes what processes that were killed while they wrote `path` left beside it: NAME.PID.tmp,
/// NAME.tmp-HOST-PID-NUMBER.
void remove_unfinished(core::FileSystem& files, const std::string& path);

constexpr std::int64_t kEndOfIds = 1'000'000'000'000;  // names of parts have twelve digits

class PartStore {
 public:
  /// Of the set `output`; trailing '/' do not count. `files` must outlive it. Touches nothing.
  PartStore(core::FileSystem& files, const std::string& output);

  const std::string& directory() const { return directory_; }

  /// The record of the job that was begun here, if one was. One rank.
  std::optional<JobRecord> begun() const;
  /// Begins the job, or goes on with it after removing what an interrupted start left half written. One rank, before
  /// the others commit. Throws ExitCode::kUsage naming the differences if parts of another job lie here.
  void open(const JobRecord& record);
  /// Ranges of all committed parts, ascending.
  std::vector<IdRange> committed() const;

  /// Makes the samples of a range durable, all or none. Any rank, any thread; no other may commit the same range.
  void commit(std::uint64_t job, IdRange range, std::span<const Record> records);

  /// Every record of ids `all` once, in order of ids, reading one part after the other. Throws ExitCode::kInput for a
  /// damaged part and where an id is missing. One rank.
  void read_all(std::uint64_t job, IdRange all, const std::function<void(Record&&)>& take) const;

  /// The set is written: removes the parts. One rank.
  void remove();
  /// What a start left that was interrupted in remove(). One rank.
  void remove_done();

 private:
  std::string path_of(IdRange range) const;

  core::FileSystem& files_;
  std::string output_, directory_, done_;
};

}  // namespace pathline::sampler
