// SPDX-License-Identifier: Apache-2.0
// Which checkpoint is meant, and which is good.
#include <algorithm>

#include "checkpoint/checkpoint.h"
#include "checkpoint/manifest.h"
#include "core/error.h"
#include "core/text.h"

namespace pathline::checkpoint {
namespace {

using core::ExitCode;
using core::join_path;

/// The directory that `latest` names; empty if the file is missing, torn or names nothing that is committed.
std::string latest_of(core::FileSystem& files, const std::string& directory) {
  const std::string path = join_path(directory, "latest");
  if (!files.exists(path) || files.is_directory(path)) return "";
  std::string name;
  try {
    name = core::read_text(files, path);
  } catch (const core::Error&) {
    return "";  // it is a hint only
  }
  if (!name.ends_with('\n')) return "";  // torn: "step-1" of "step-12"
  while (!name.empty() && (name.back() == '\n' || name.back() == '\r')) name.pop_back();
  const std::string target = join_path(directory, name);
  return parse_step_name(name).is_step && has_manifest(files, target) ? target : "";
}

/// Why the manifest cannot be used; empty if it can. Throws where the storage fails: that says nothing about the checkpoint.
std::string manifest_problem(core::FileSystem& files, const std::string& directory) {
  try {
    read_manifest(files, directory);
    return "";
  } catch (const core::Error& error) {
    if (error.code() != ExitCode::kInput) throw;
    return error.what();
  }
}

/// All that is wrong with a checkpoint, every byte of it read. Where the storage fails it is asked a second time: passing
/// over a good checkpoint for a moment's fault would throw away what was trained since the one before.
std::string problem_of(core::FileSystem& files, const std::string& directory, bool again = true) {
  try {
    const auto problems = Reader(files, directory).verify();
    return problems.empty() ? "" : core::concat(problems.front(), problems.size() > 1 ? " And more." : "");
  } catch (const core::Error& error) {
    if (again && error.code() != ExitCode::kInput) return problem_of(files, directory, false);
    return error.what();
  }
}

}  // namespace

std::vector<Listed> list(core::FileSystem& files, const std::string& directory) {
  std::vector<Listed> all;
  const std::string latest = files.is_directory(directory) ? latest_of(files, directory) : "";
  for (const auto& [step, path] : committed(files, directory)) {
    Listed one;
    one.step = step;
    one.directory = path;
    one.latest = path == latest;
    try {
      const Manifest manifest = read_manifest(files, path);
      one.bytes = manifest.data_bytes();
      one.saved_at = manifest.state.saved_at;
      one.metrics = manifest.state.metrics;
    } catch (const core::Error& error) {
      one.problem = error.what();
    }
    all.push_back(one);
  }
  return all;
}

std::string resolve(core::FileSystem& files, const std::string& path) {
  if (has_manifest(files, path)) return path;
  const std::string below = join_path(path, "checkpoints");
  const std::string directory = files.is_directory(below) ? below : path;
  PL_CHECK(files.is_directory(directory), ExitCode::kInput, path,
           " is no directory. Give a run directory, its checkpoints/ or one step-N.");
  const std::string latest = latest_of(files, directory);
  if (!latest.empty() && manifest_problem(files, latest).empty()) return latest;
  std::string problem;
  const auto all = committed(files, directory);
  for (auto one = all.rbegin(); one != all.rend(); ++one) {
    problem = manifest_problem(files, one->directory);
    if (problem.empty()) return one->directory;
  }
  throw core::Error(ExitCode::kInput,
                    core::concat(path, " holds no usable checkpoint. ",
                                 problem.empty() ? "Give a run directory, its checkpoints/ or one step-N." : problem));
}

std::optional<std::string> newest_good(core::FileSystem& files, const std::string& directory,
                                       const std::function<void(const std::string&)>& say) {
  const auto all = committed(files, directory);
  for (auto one = all.rbegin(); one != all.rend(); ++one) {
    const std::string problem = problem_of(files, one->directory);
    if (problem.empty()) return one->directory;
    say(core::concat("checkpoint ", one->directory, " is damaged and passed over: ", problem));
  }
  PL_CHECK(all.empty(), ExitCode::kInput, "none of the ", all.size(), " checkpoints in ", directory,
           " is good (going on without them would start the run from nothing). See them with "
           "pathline checkpoint verify; move them away to start again.");
  return std::nullopt;
}

}  // namespace pathline::checkpoint
