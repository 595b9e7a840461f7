// SPDX-License-Identifier: Apache-2.0
#include "trainer/rollback.h"

#include "cluster/agree.h"
#include "core/error.h"
#include "core/log.h"
#include "trainer/checkpoint_bridge.h"
#include "trainer/recovery.h"

namespace pathline::trainer {
namespace {

/// Empty if every byte is good.
std::string problem_of(core::FileSystem& files, const checkpoint::Listed& listed) {
  if (!listed.problem.empty()) return listed.problem;
  const auto problems = checkpoint::Reader(files, listed.directory).verify();
  return problems.empty() ? "" : problems.front();
}

/// The newest good checkpoint that counts and holds other weights than those of `optimizer_step` updates.
std::string find_target(core::FileSystem& files, const std::string& directory, const CheckpointOptions& options,
                        std::uint64_t optimizer_step) {
  const auto all = checkpoint::list(files, directory);
  for (auto one = all.rbegin(); one != all.rend(); ++one) {
    if (!counts_for_rollback(one->step, options)) continue;
    const std::string problem = problem_of(files, *one);
    if (!problem.empty()) {
      core::log_warning("checkpoint ", one->directory, " is damaged and passed over: ", problem);
    } else if (checkpoint::Reader(files, one->directory).state().optimizer_step < optimizer_step) {
      return one->directory;
    }
  }
  return "";
}

}  // namespace

void restore_state(ShardedState& state, const checkpoint::Reader& reader, const CheckpointOptions& options,
                   cluster::Communicator& ranks) {
  if (options.read == "broadcast") {
    restore_by_broadcast(state, reader, ranks);
  } else {
    cluster::together(ranks, [&] { restore_own_shard(state, reader); });
  }
  state.spread_masters();
}

void set_aside_later_ones(core::FileSystem& files, const std::string& directory, std::uint64_t step,
                          cluster::Communicator& ranks) {
  cluster::together(ranks, [&] {
    if (ranks.rank() != 0) return;
    for (const auto& path : checkpoint::set_aside_after(files, directory, step)) {
      core::log_warning("set aside as ", path, ": later than the checkpoint that the run goes on from");
    }
  });
}

std::string roll_back(core::FileSystem& files, const std::string& directory, const Recipe& recipe,
                      checkpoint::State& progress, ShardedState& state, cluster::Communicator& ranks) {
  std::string target;
  cluster::together(ranks, [&] {
    if (ranks.rank() == 0) target = find_target(files, directory, recipe.checkpoint, progress.optimizer_step);
  });
  target = collectives(ranks).broadcast(target);
  if (target.empty()) return target;
  const auto reader = cluster::together(ranks, [&] { return checkpoint::Reader(files, target); });
  restore_state(state, reader, recipe.checkpoint, ranks);
  progress = rolled_back(progress, reader.state(), recipe.train.batch);
  set_aside_later_ones(files, directory, progress.step, ranks);
  return target;
}

}  // namespace pathline::trainer
