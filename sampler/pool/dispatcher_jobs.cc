// SPDX-License-Identifier: Apache-2.0
// Jobs: submitted, looked at, paused, cancelled, failed.
#include <algorithm>

#include "checkpoint/checkpoint.h"
#include "core/log.h"
#include "sampler/pool/dispatcher.h"
#include "sampler/timed_work.h"

namespace pathline::pool {
namespace {

constexpr double kRateSeconds = 120;

/// The output, and what else appears outside of the pool's directory.
std::vector<std::string> written_by(const JobSpec& spec) {
  std::vector<std::string> paths = {spec.output};
  for (const OptionName& option : option_names()) {
    const auto given = spec.options.find(std::string(option.name));
    if (option.kind == OptionName::kOutput && given != spec.options.end()) paths.push_back(given->second);
  }
  return paths;
}

/// A run may go on: all workers must mean the same step.
void pin_checkpoints(core::FileSystem& files, JobSpec& spec) {
  spec.checkpoint = checkpoint::resolve(files, spec.checkpoint);
  for (const char* option : {"guide-with", "classifier", "features"}) {
    const auto given = spec.options.find(option);
    if (given == spec.options.end()) continue;
    const bool script = given->first != "guide-with" && !files.is_directory(given->second);
    if (!script) given->second = checkpoint::resolve(files, given->second);
  }
}

bool is_over(const std::string& state) { return state == "completed" || state == "failed" || state == "cancelled"; }

}  // namespace

/// Inside a transaction: two jobs must not write one file.
void Dispatcher::refuse_outputs_of_others(const JobSpec& spec) {
  const std::vector<std::string> paths = written_by(spec);
  Rows rows = store_->query("SELECT id, spec FROM jobs WHERE state IN ('queued', 'running', 'finalizing')");
  while (rows.next()) {
    for (const std::string& taken : written_by(parse_job_spec(rows.text(1)))) {
      if (std::ranges::find(paths, taken) == paths.end()) continue;
      throw Refused(409, core::concat("job ", rows.integer(0), " is making ", taken, ". Choose another output."));
    }
  }
}

std::int64_t Dispatcher::submit(JobSpec spec) {
  spec = checked(std::move(spec));
  pin_checkpoints(files_, spec);
  for (const std::string& path : written_by(spec)) {
    const std::string parent = core::parent_of(path);
    PL_CHECK(files_.is_directory(parent), core::ExitCode::kUsage, "the directory ", parent,
             " of the job's output does not exist. Make it first.");
    if (files_.exists(path)) {
      throw Refused(409,
                    core::concat(path, " exists (the job would replace it). Remove it, or choose another output."));
    }
  }
  const std::int64_t queued = store_->integer("SELECT count(*) FROM jobs WHERE state = 'queued'");
  if (queued >= options_.most_queued) {
    throw Refused(429, core::concat(queued,
                                    " jobs are queued, the most that this pool takes. Submit again when workers "
                                    "have begun some, or start `pathline pool serve` with a higher --max-queued."));
  }
  Transaction submitting(*store_);
  refuse_outputs_of_others(spec);
  store_->run("INSERT INTO jobs (spec, priority, created_at) VALUES (?1, ?2, ?3)",
              {to_json(spec), spec.priority, options_.wall_seconds()});
  const std::int64_t id = store_->last_inserted();
  if (spec.slots == kMeasuredSlots) {
    store_->run("INSERT INTO ranges (job, kind, first, last, suspect) VALUES (?1, 'slots', 0, 1, 1)", {id});
  } else {
    open_samples(id, spec);
  }
  core::make_durable_directory(files_, job_directory(id));
  submitting.commit();
  core::log_info("job ", id, ": ", spec.count, " samples of ", spec.checkpoint, " into ", spec.output);
  return id;
}

double Dispatcher::rate_of(std::int64_t job) {
  const double now = options_.seconds();
  while (!recent_.empty() && recent_.front().at < now - kRateSeconds) recent_.pop_front();
  double samples = 0, since = now;
  for (const Done& done : recent_) {
    if (done.job != job) continue;
    samples += static_cast<double>(done.samples);
    since = std::min(since, done.at);
  }
  // The first commit stands for work that was done before it.
  return samples / std::clamp(now - since + sampler::kSecondsOfRange / 2, 1.0, kRateSeconds);
}

JobView Dispatcher::view_of(Rows& row) {
  JobView view;
  view.id = row.integer(0);
  view.spec = parse_job_spec(row.text(1));
  view.state = row.text(2);
  view.paused = row.integer(3) != 0;
  view.fingerprint = row.text(4);
  view.created_at = row.real(5);
  view.finished_at = row.real(6);
  view.error = row.text(7);
  const std::int64_t committed = row.integer(8), failed = row.integer(9);
  view.seconds = row.real(10);
  view.max_nfe = row.integer(12);
  view.rejected_steps = row.integer(13);
  view.parked = row.integer(16);
  view.leases = row.integer(17);
  view.done = committed - failed;
  view.failed = failed + view.parked;
  if (committed > 0) view.mean_nfe = static_cast<double>(row.integer(11)) / static_cast<double>(committed);
  if (row.integer(15) > 0) view.occupancy = static_cast<double>(row.integer(14)) / static_cast<double>(row.integer(15));
  if (is_over(view.state)) return view;
  view.images_per_second = rate_of(view.id);
  const std::int64_t left = view.spec.count - view.done - view.failed;
  if (view.images_per_second > 0) view.eta_seconds = static_cast<double>(left) / view.images_per_second;
  return view;
}

namespace {

constexpr char kJobColumns[] =
    "SELECT id, spec, state, paused, fingerprint, created_at, finished_at, error, done, failed, seconds, nfe, max_nfe, "
    "rejected, "
    "useful_rows, evaluated_rows, "
    "(SELECT coalesce(sum(last - first), 0) FROM ranges WHERE job = jobs.id AND state = 'parked' AND kind = "
    "'samples'), "
    "(SELECT count(*) FROM ranges WHERE job = jobs.id AND state = 'leased') FROM jobs ";

}  // namespace

std::vector<JobView> Dispatcher::jobs() {
  std::vector<JobView> views;
  Rows rows =
      store_->query(std::string(kJobColumns) +
                    "WHERE id IN (SELECT id FROM jobs ORDER BY state IN ('queued', 'running', 'finalizing') DESC, "
                    "id DESC LIMIT 1000) ORDER BY id DESC");
  while (rows.next()) views.push_back(view_of(rows));
  return views;
}

JobView Dispatcher::job(std::int64_t id) {
  Rows rows = store_->query(std::string(kJobColumns) + "WHERE id = ?1", {id});
  if (!rows.next()) throw Refused(404, core::concat("there is no job ", id, "."));
  return view_of(rows);
}

std::vector<RangeView> Dispatcher::ranges(std::int64_t job) {
  job_state(job);
  std::vector<RangeView> views;
  for (const Range& range : select_ranges("job = ?1 AND kind = 'samples' ORDER BY first", {job})) {
    views.push_back({range.first, range.last, range.state, range.worker, range.error});
  }
  return views;
}

void Dispatcher::cancel(std::int64_t id) {
  const std::string state = job_state(id);
  if (state == "cancelled") return;
  if (is_over(state)) throw Refused(409, core::concat("job ", id, " is ", state, "; there is nothing to cancel."));
  Transaction cancelling(*store_);
  if (store_->integer("SELECT count(*) FROM ranges WHERE job = ?1 AND kind = 'assembly' AND state = 'committing'",
                      {id}) > 0) {
    throw Refused(409, core::concat("the output of job ", id, " is getting its name right now."));
  }
  store_->run("UPDATE jobs SET state = 'cancelled', finished_at = ?2 WHERE id = ?1", {id, options_.wall_seconds()});
  take_back("job = ?1 AND state = 'leased'", {id});
  cancelling.commit();
  forget_leases(id);
}

void Dispatcher::pause(std::int64_t id, bool paused) {
  const std::string state = job_state(id);
  if (is_over(state)) throw Refused(409, core::concat("job ", id, " is ", state, "."));
  store_->run("UPDATE jobs SET paused = ?2 WHERE id = ?1", {id, std::int64_t{paused}});
}

/// Inside a transaction.
void Dispatcher::fail_job(std::int64_t id, const std::string& why) {
  core::log_error("job ", id, " has failed: ", why);
  store_->run("UPDATE jobs SET state = 'failed', error = ?2, finished_at = ?3 WHERE id = ?1",
              {id, why, options_.wall_seconds()});
  take_back("job = ?1 AND state = 'leased'", {id});
}

void Dispatcher::forget_leases(std::int64_t job) {
  std::erase_if(held_, [&](const auto& held) { return held.second.job == job; });
}

/// Inside a transaction.
void Dispatcher::finish_samples_if_all_are_done(std::int64_t id) {
  const std::int64_t open = store_->integer(
      "SELECT count(*) FROM ranges WHERE job = ?1 AND kind = 'samples' AND state NOT IN ('done', 'parked')", {id});
  if (open > 0) return;
  if (store_->integer("SELECT done - failed FROM jobs WHERE id = ?1", {id}) == 0) {
    const auto parked = select_ranges("job = ?1 AND state = 'parked' LIMIT 1", {id});
    return fail_job(
        id, core::concat("no sample succeeded", parked.empty() ? ". Loosen rtol and atol, or use an earlier checkpoint."
                                                               : ": " + parked.front().error));
  }
  store_->run("UPDATE jobs SET state = 'finalizing' WHERE id = ?1 AND state IN ('queued', 'running')", {id});
  if (job_state(id) != "finalizing") return;  // cancelled or failed while a part was being committed
  store_->run("INSERT INTO ranges (job, kind, first, last, suspect) VALUES (?1, 'assembly', 0, 1, 1)", {id});
}

}  // namespace pathline::pool
