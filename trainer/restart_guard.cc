// SPDX-License-Identifier: Apache-2.0
#include "trainer/restart_guard.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "checkpoint/checkpoint.h"
#include "cluster/agree.h"
#include "core/error.h"
#include "core/log.h"

namespace pathline::trainer {
namespace {

constexpr char kFormat[] = "pathline-restarts";

std::string record_text(const RestartRecord& record) {
  const nlohmann::ordered_json json = {
      {"format", kFormat}, {"version", 1}, {"restarts", record.restarts}, {"step", record.step}};
  return json.dump() + "\n";
}

/// An empty record where there is none; one that cannot be read is named.
RestartRecord read_record(core::FileSystem& files, const std::string& path) {
  if (!files.exists(path)) return {};
  try {
    const auto json = nlohmann::json::parse(core::read_text(files, path));
    PL_CHECK(json.at("format") == kFormat && json.at("version") == 1, core::ExitCode::kInput, "another format");
    return {json.at("restarts").get<std::int64_t>(), json.at("step").get<std::int64_t>()};
  } catch (const std::exception& error) {
    core::log_warning(path, " cannot be read (", error.what(), "): restarts are counted from 0");
    return {};
  }
}

std::int64_t newest_step(core::FileSystem& files, const std::string& checkpoints) {
  std::int64_t newest = -1;
  for (const auto& listed : checkpoint::list(files, checkpoints)) {
    if (listed.problem.empty()) newest = static_cast<std::int64_t>(listed.step);
  }
  return newest;
}

}  // namespace

RestartRecord count_start(const RestartRecord& before, bool restart, std::int64_t step) {
  return {restart && step <= before.step ? before.restarts + 1 : 0, step};
}

bool is_restart(const cluster::Environment& environment) {
  for (const char* name : {"SLURM_RESTART_COUNT", "PATHLINE_RESTART"}) {
    const char* count = environment(name);
    if (count != nullptr && std::atoll(count) > 0) return true;
  }
  return false;
}

void guard_restarts(core::FileSystem& files, const std::string& run_directory, const std::string& checkpoints,
                    std::int64_t limit, cluster::Communicator& ranks, const cluster::Environment& environment) {
  cluster::together(ranks, [&] {
    if (ranks.rank() != 0) return;
    const std::string path = core::join_path(run_directory, "restarts.json");
    const auto record = count_start(read_record(files, path), is_restart(environment), newest_step(files, checkpoints));
    core::replace_file(files, path, record_text(record));
    if (record.restarts == 0) return;
    const std::string where = record.step < 0 ? "without any checkpoint" : core::concat("at step ", record.step);
    PL_CHECK(
        limit == 0 || record.restarts <= limit, core::ExitCode::kNoProgress, "the run in ", run_directory, " stands ",
        where, " after ", record.restarts - 1,
        " restarts in a row (run.restarts_without_progress), so restarting does not help and it is given up. Look at "
        "the "
        "last errors in ",
        core::join_path(run_directory, "log.txt"),
        " and in the job's output, and whether the time of a "
        "start is long enough for a checkpoint (checkpoint.every_minutes). A start by hand goes on and counts anew.");
    core::log_warning("restart ", record.restarts, limit > 0 ? core::concat(" of at most ", limit) : "",
                      " without a newer checkpoint: the run stands ", where);
  });
}

void throw_to_be_started_again(const std::exception& caught) {
  const auto* error = dynamic_cast<const core::Error*>(&caught);
  const bool environment = error ? error->code() == core::ExitCode::kEnvironment : core::is_gpu_fault(caught);
  const bool told = dynamic_cast<const cluster::ToldError*>(&caught) != nullptr;
  const bool decided = !told && dynamic_cast<const cluster::AgreedError*>(&caught) != nullptr;
  const bool lost_lock = dynamic_cast<const checkpoint::LostLock*>(&caught) != nullptr;
  if (decided || lost_lock || !environment) return;
  const std::string text = core::concat(
      core::as_error(caught).what(),
      " This had worked before in this start, so start the run again: it goes on from its newest checkpoint.");
  if (told) throw cluster::AgreedError(core::ExitCode::kRankLost, text);
  throw core::Error(core::ExitCode::kRankLost, text);
}

}  // namespace pathline::trainer
