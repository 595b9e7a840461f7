// SPDX-License-Identifier: Apache-2.0
#include "trainer/run_directory.h"

#include "checkpoint/checkpoint.h"
#include "cluster/agree.h"
#include "cluster/shared_directory.h"

namespace pathline::trainer {

RunDirectory::RunDirectory(core::FileSystem& files, const std::string& path, cluster::Communicator& ranks)
    : path_(path) {
  cluster::together(ranks, [&] {
    if (ranks.rank() == 0) core::make_durable_directory(files, path_);
  });
  cluster::check_shared_directory(ranks, files, path_);
  cluster::together(ranks, [&] {
    if (ranks.rank() != 0) return;
    lock_ = std::make_unique<checkpoint::RunLock>(files, path_);
    attempt_ = lock_->attempt();
    files.make_directory(checkpoints());
    files.make_directory(samples());
    core::remove_tree(files, heartbeats());  // of another attempt, perhaps with more ranks
    files.make_directory(heartbeats());
    cluster::remove_marks(files, path_);
    checkpoint::remove_litter(files, checkpoints());
  });
  attempt_ = cluster::word_of_root(ranks, attempt_);
}

}  // namespace pathline::trainer
