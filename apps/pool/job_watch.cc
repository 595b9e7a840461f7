// SPDX-License-Identifier: Apache-2.0
#include "apps/pool/job_watch.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/progress.h"
#include "core/text.h"
#include "sampler/pool/wire.h"

namespace pathline::apps {
namespace {

using pool::Json;

/// A dispatcher that is being started again is waited for.
constexpr double kPatience = 120;

bool is_over(const Json& job) {
  const std::string state = pool::text_in(job, "state");
  return state == "completed" || state == "failed" || state == "cancelled";
}

std::int64_t count(const Json& job, const char* which) { return pool::integer_in(job.at("counts"), which); }

int verdict(const Json& job) {
  const std::string state = pool::text_in(job, "state");
  if (state == "cancelled") return static_cast<int>(core::ExitCode::kStopped);
  return static_cast<int>(state == "completed" && count(job, "failed") == 0 ? core::ExitCode::kFinished
                                                                            : core::ExitCode::kNumerical);
}

}  // namespace

std::int64_t job_id_in(const std::string& json) { return pool::integer_in(pool::parse_object(json), "id"); }

std::string job_line(const std::string& json) {
  const Json job = pool::parse_object(json);
  const double rate = pool::number_in(job, "images_per_second");
  std::string line = core::concat("job ", pool::integer_in(job, "id"), "  ", pool::text_in(job, "state"),
                                  pool::flag_in(job, "paused") ? " (paused)" : "", "  ", count(job, "done"), " of ",
                                  count(job, "total"));
  if (count(job, "failed") > 0) line += core::concat(", ", count(job, "failed"), " failed");
  if (!is_over(job) && rate > 0) {
    line += core::concat(", ", static_cast<double>(static_cast<std::int64_t>(rate * 10)) / 10, " a second");
    if (!job.at("eta_seconds").is_null())
      line += ", " + core::human_seconds(pool::number_in(job, "eta_seconds")) + " left";
  }
  line += "  " + pool::text_in(job.at("spec"), "output");
  const std::string error = pool::text_in(job, "error");
  return error.empty() ? line : line + "\n  " + error;
}

int wait_for_jobs(pool::Connection& connection, const std::vector<std::int64_t>& ids, bool json) {
  std::map<std::int64_t, Json> jobs;
  std::int64_t total = 0;
  const auto look = [&] {
    total = 0;
    std::int64_t done = 0;
    for (const std::int64_t id : ids) {
      if (!jobs.contains(id) || !is_over(jobs[id])) {
        jobs[id] = pool::parse_object(connection.ask("GET", core::concat("/v1/jobs/", id), "", kPatience));
      }
      total += count(jobs[id], "total");
      done += count(jobs[id], "done") + count(jobs[id], "failed");
    }
    return done;
  };
  const std::int64_t begun = look();
  core::Progress progress("pool", total, "samples", true, begun);
  const auto over = [&] { return std::ranges::all_of(jobs, [](const auto& job) { return is_over(job.second); }); };
  while (!over()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    progress.update(look());
  }
  progress.finish();
  int code = 0;
  Json list = Json::array();
  for (const auto& [id, job] : jobs) {
    code = std::max(code, verdict(job));
    list.push_back(job);
    if (!json) std::printf("%s\n", job_line(pool::dumped(job)).c_str());
  }
  if (json) std::printf("%s\n", pool::dumped(ids.size() == 1 ? list[0] : list).c_str());
  return code;
}

}  // namespace pathline::apps
