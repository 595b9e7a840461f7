// SPDX-License-Identifier: Apache-2.0
// Part files: written, synced, committed, beside the computation.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "apps/pool/prepared_job.h"
#include "core/file_system.h"
#include "core/task_thread.h"
#include "sampler/pool/worker_link.h"
#include "sampler/record.h"

namespace pathline::apps {

/// Writes parts and asks for their commits, in order, on a thread of its own.
class PartWriter {
 public:
  PartWriter(core::FileSystem& files, pool::WorkerLink& link) : files_(files), link_(link) {}
  void write(std::shared_ptr<const PreparedJob> job, const pool::Lease& lease, std::vector<sampler::Record> records,
             pool::CommitReport report);
  /// All are written. Throws pool::Unreachable where the dispatcher stayed away.
  void wait() { thread_.wait_for_all(); }
  /// Storage failed since the last call: its leases went back, try again later.
  bool take_trouble() { return trouble_.exchange(false); }
  bool in_trouble() const { return trouble_; }

 private:
  void write_now(const PreparedJob& job, const pool::Lease& lease, std::vector<sampler::Record>& records,
                 pool::CommitReport report);

  core::FileSystem& files_;
  pool::WorkerLink& link_;
  std::atomic<bool> trouble_ = false;
  core::TaskThread thread_;
};

}  // namespace pathline::apps
