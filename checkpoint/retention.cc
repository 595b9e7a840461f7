// SPDX-License-Identifier: Apache-2.0
// Which checkpoints go, and how they go: whatever is left half-deleted no longer counts as a checkpoint.
#include <algorithm>

#include "checkpoint/checkpoint.h"
#include "checkpoint/manifest.h"
#include "core/error.h"

namespace pathline::checkpoint {
namespace {

using core::join_path;

void delete_directory(core::FileSystem& files, const std::string& directory) {
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

}  // namespace

std::vector<std::uint64_t> to_delete(const std::vector<std::uint64_t>& steps, const Retention& policy) {
  std::vector<std::uint64_t> sorted = steps;
  std::sort(sorted.begin(), sorted.end());
  const std::size_t last = static_cast<std::size_t>(std::max<std::int64_t>(policy.keep_last, 1));
  std::vector<std::uint64_t> doomed;
  for (std::size_t i = 0; i + last < sorted.size(); ++i) {
    const bool milestone =
        policy.keep_every_steps > 0 && sorted[i] % static_cast<std::uint64_t>(policy.keep_every_steps) == 0;
    if (!milestone) doomed.push_back(sorted[i]);
  }
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
