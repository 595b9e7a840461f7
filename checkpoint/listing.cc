// SPDX-License-Identifier: Apache-2.0
// Which checkpoint is meant, and which is good.
#include <algorithm>
#include <exception>
#include <nlohmann/json.hpp>

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

/// Why the manifest cannot be used; empty if it can. Throws where the storage fails: that says nothing about the
/// checkpoint.
std::string manifest_problem(core::FileSystem& files, const std::string& directory) {
  try {
    read_manifest(files, directory);
    return "";
  } catch (const core::Error& error) {
    if (error.code() != ExitCode::kInput) throw;
    return error.what();
  }
}

/// What is wrong with a share of a checkpoint, every byte of it read. Where the storage fails it is asked a second
/// time: passing over a good checkpoint for a moment's fault would throw away what was trained since the one before.
std::string problem_of(core::FileSystem& files, const std::string& directory, Share share, bool again = true) {
  try {
    const auto problems = Reader(files, directory).verify(share);
    return problems.empty() ? "" : core::concat(problems.front(), problems.size() > 1 ? " And more." : "");
  } catch (const std::exception& caught) {  // of any kind: the other ranks wait for this one's answer
    const core::Error error = core::as_error(caught);
    if (again && error.code() != ExitCode::kInput) return problem_of(files, directory, share, false);
    return error.what();
  }
}

/// All ranks: the first rank's problem, if any has one.
std::string problem_of(core::FileSystem& files, const std::string& directory, const Collectives& ranks) {
  for (const auto& problem : ranks.gather(problem_of(files, directory, Share{ranks.rank, ranks.ranks}))) {
    if (!problem.empty()) return problem;
  }
  return "";
}

/// All ranks: committed checkpoints as rank 0 sees them, newest first, or its error.
std::vector<std::string> newest_first(core::FileSystem& files, const std::string& directory, const Collectives& ranks) {
  nlohmann::json told = {{"paths", nlohmann::json::array()}, {"code", 0}, {"error", ""}};
  if (ranks.rank == 0) {
    try {
      for (const auto& one : committed(files, directory)) told["paths"].insert(told["paths"].begin(), one.directory);
    } catch (const std::exception& caught) {  // of any kind: the other ranks wait for the list
      const core::Error error = core::as_error(caught);
      told["code"] = static_cast<int>(error.code());
      told["error"] = error.what();
    }
  }
  // A name that is no UTF-8 must not throw here on rank 0 alone.
  told = nlohmann::json::parse(ranks.broadcast(told.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)));
  if (told.at("code") != 0) throw core::Error(static_cast<ExitCode>(told.at("code").get<int>()), told.at("error"));
  return told.at("paths");
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
                                       const std::function<void(const std::string&)>& say, const Collectives& ranks) {
  const auto all = newest_first(files, directory, ranks);
  for (const std::string& one : all) {
    const std::string problem = problem_of(files, one, ranks);
    if (problem.empty()) return one;
    say(core::concat("checkpoint ", one, " is damaged and passed over: ", problem));
  }
  PL_CHECK(all.empty(), ExitCode::kInput, "none of the ", all.size(), " checkpoints in ", directory,
           " is good (going on without them would start the run from nothing). See them with "
           "pathline checkpoint verify; move them away to start again.");
  return std::nullopt;
}

}  // namespace pathline::checkpoint
