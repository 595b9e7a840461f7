// SPDX-License-Identifier: Apache-2.0
// Which checkpoints go, and how they go: whatever is left half-deleted no longer counts as a checkpoint.
#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <utility>

#include "checkpoint/checkpoint.h"
#include "checkpoint/manifest.h"
#include "core/error.h"

namespace pathline::checkpoint {
namespace {

using core::join_path;

void delete_directory(core::FileSystem& files, const std::string& directory) {
  if (!files.exists(directory)) return;
  files.remove(join_path(directory, kManifestName));
  files.sync_directory(directory);
  core::remove_tree(files, directory);
}

/// Readable manifest and files of the right length; not every byte, this runs at every start.
bool looks_whole(core::FileSystem& files, const std::string& directory) {
  try {
    for (const auto& file : read_manifest(files, directory).files) {
      if (files.size(join_path(directory, file.name)) != file.length) return false;
    }
    return true;
  } catch (const core::Error&) {
    return false;
  }
}

/// A step without step-N gets it back from what stands in for it.
void restore_superseded(core::FileSystem& files, const std::string& directory) {
  for (const auto& [step, path] : committed(files, directory)) {
    if (parse_step_name(core::name_of(path)).superseded > 0) files.rename(path, join_path(directory, step_name(step)));
  }
}

void keep_by_hours(const std::vector<Listed>& sorted, double hours, std::set<std::uint64_t>& kept) {
  std::optional<std::int64_t> last;
  for (const auto& one : sorted) {
    if (hours <= 0 || !one.problem.empty() || one.saved_at == 0) continue;
    if (last && static_cast<double>(one.saved_at - *last) < hours * 3600) continue;
    last = one.saved_at;
    kept.insert(one.step);
  }
}

}  // namespace

std::vector<std::uint64_t> best_of(const std::vector<Listed>& checkpoints, const BestBy& by, std::int64_t count) {
  std::vector<std::pair<double, std::uint64_t>> ranking;  // (what should be small, step)
  for (const auto& one : checkpoints) {
    const auto value = one.metrics.find(by.metric);
    if (!one.problem.empty() || value == one.metrics.end() || !std::isfinite(value->second)) continue;
    ranking.emplace_back(by.mode == BestBy::Mode::kMin ? value->second : -value->second, one.step);
  }
  std::ranges::sort(ranking);
  std::vector<std::uint64_t> best;
  for (const auto& [value, step] : ranking) {
    if (std::ssize(best) < count) best.push_back(step);
  }
  return best;
}

std::vector<std::uint64_t> to_delete(const std::vector<Listed>& checkpoints, const Retention& policy) {
  std::vector<Listed> sorted = checkpoints;
  std::ranges::sort(sorted, {}, &Listed::step);
  const auto best = best_of(sorted, policy.best, policy.keep_best);
  std::set<std::uint64_t> kept(best.begin(), best.end());
  keep_by_hours(sorted, policy.keep_every_hours, kept);
  const auto every = static_cast<std::uint64_t>(std::max<std::int64_t>(policy.keep_every_steps, 0));
  std::int64_t newer = 0;  // readable ones
  std::vector<std::uint64_t> doomed;
  for (auto one = sorted.rbegin(); one != sorted.rend(); ++one) {
    if (!one->problem.empty()) continue;
    const bool recent = newer++ < std::max<std::int64_t>(policy.keep_last, 1);
    const bool milestone = every > 0 && one->step % every == 0;
    if (!recent && !milestone && !kept.contains(one->step)) doomed.push_back(one->step);
  }
  std::ranges::reverse(doomed);
  return doomed;
}

void delete_checkpoint(core::FileSystem& files, const std::string& directory) {
  const std::string parent = core::parent_of(directory);
  const StepName name = parse_step_name(core::name_of(directory));
  if (name.is_step && name.superseded == 0) {  // first, or they would stand in for it
    for (const std::uint64_t number : superseded_of(files, parent, name.step)) {
      delete_directory(files, join_path(parent, superseded_name(name.step, number)));
    }
  }
  delete_directory(files, directory);
  files.sync_directory(parent);
}

std::vector<std::string> set_aside_after(core::FileSystem& files, const std::string& directory, std::uint64_t step) {
  std::vector<std::string> aside;
  for (const auto& entry : files.list(directory)) {
    const StepName name = parse_step_name(entry);
    if (!name.is_step || name.step <= step) continue;
    int number = 1;
    const auto path = [&] { return join_path(directory, core::concat("aside-", entry, ".", number)); };
    while (files.exists(path())) ++number;
    files.rename(join_path(directory, entry), path());
    aside.push_back(path());
  }
  if (!aside.empty()) files.sync_directory(directory);
  return aside;
}

void remove_litter(core::FileSystem& files, const std::string& directory) {
  if (!files.is_directory(directory)) return;
  for (const auto& entry : files.list(directory)) {
    const std::string path = join_path(directory, entry);
    const bool half_deleted = parse_step_name(entry).is_step && !has_manifest(files, path);
    if (entry.ends_with(".tmp") || half_deleted) core::remove_tree(files, path);
  }
  restore_superseded(files, directory);
  for (const auto& entry : files.list(directory)) {
    const StepName name = parse_step_name(entry);
    if (name.superseded > 0 && looks_whole(files, join_path(directory, step_name(name.step)))) {
      delete_directory(files, join_path(directory, entry));
    }
  }
  files.sync_directory(directory);
}

}  // namespace pathline::checkpoint
