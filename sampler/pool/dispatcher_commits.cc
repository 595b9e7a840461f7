// SPDX-License-Identifier: Apache-2.0
// Commits by recorded intent: intent in the store, rename, done in the store. Whatever stops in between is finished by
// the next tick or start.
#include <nlohmann/json.hpp>

#include "core/log.h"
#include "sampler/pool/dispatcher.h"
#include "sampler/pool/paths.h"
#include "sampler/pool/wire.h"

namespace pathline::pool {

void Dispatcher::commit(const std::string& worker, std::int64_t token, const CommitReport& report) {
  touch(worker);
  std::string earlier;
  {
    Rows rows = store_->query("SELECT state FROM commits WHERE token = ?1", {token});
    if (rows.next()) earlier = rows.text(0);
  }
  if (earlier == "done") {
    ++counters_.duplicates;
    return;  // our first answer was lost
  }
  if (earlier == "intent") return finish_commit(token);

  const auto range = leased(token, worker);
  if (!range || range->kind == "slots")
    throw Refused(409, core::concat("lease ", token, " is not this worker's any more, or none that makes a file."));
  const JobSpec spec = spec_of(range->job);
  const bool assembly = range->kind == "assembly";
  const IdSpan ids{range->first, range->last};
  const std::string source = source_path(options_.pool, range->job, assembly, ids, token, spec.output);
  const bool there = files_.exists(source) && (files_.is_directory(source) || files_.size(source) == report.bytes);
  if (!there) throw Refused(409, core::concat(source, " is not there with ", report.bytes, " bytes."));
  const std::string target = assembly ? spec.output : part_path(options_.pool, range->job, ids);
  Transaction intending(*store_);
  store_->run("UPDATE ranges SET state = 'committing' WHERE token = ?1", {token});
  store_->run(
      "INSERT INTO commits (token, job, kind, first, last, source, target, report) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, "
      "?8)",
      {token, range->job, range->kind, range->first, range->last, source, target, to_json(report)});
  intending.commit();
  const auto held = held_.extract(token);
  finish_commit(token);
  if (!held.empty()) keep_preview(held.mapped(), range->job, range->first);
}

void Dispatcher::finish_commit(std::int64_t token) {
  std::int64_t job = 0;
  std::string source, target;
  bool assembly = false;
  {
    Rows rows =
        store_->query("SELECT job, source, target, kind FROM commits WHERE token = ?1 AND state = 'intent'", {token});
    if (!rows.next()) return;
    job = rows.integer(0);
    source = rows.text(1);
    target = rows.text(2);
    assembly = rows.text(3) == "assembly";
  }
  PL_CHECK(options_.still_owner(), core::ExitCode::kEnvironment, "the pool ", options_.pool,
           " has another dispatcher by now, so this one renames nothing. End it.");
  if (files_.exists(source)) {
    if (assembly && files_.exists(target)) refuse_output(job, token, target);
    files_.rename(source, target);
  } else if (!files_.exists(target)) {
    Transaction again(*store_);
    undo_intent(token);
    again.commit();
    throw Refused(409, core::concat(source, " has vanished, so its samples will be made again."));
  }
  files_.sync_directory(core::parent_of(target));
  record_done(token);
}

/// Inside a transaction.
void Dispatcher::undo_intent(std::int64_t token) {
  take_back("token = ?1", {token});
  store_->run("DELETE FROM commits WHERE token = ?1", {token});
}

/// Something else has got the output's name since the job was submitted: it stays, and the job fails.
void Dispatcher::refuse_output(std::int64_t job, std::int64_t token, const std::string& target) {
  const std::string why = core::concat(
      target, " appeared while the job ran (it would be replaced). Remove it, or submit with another output.");
  Transaction failing(*store_);
  undo_intent(token);
  fail_job(job, why);
  failing.commit();
  throw Refused(409, why);
}

void Dispatcher::record_done(std::int64_t token) {
  Transaction recording(*store_);
  std::int64_t job = 0, samples = 0;
  std::string kind, worker;
  CommitReport report;
  {
    Rows rows = store_->query(
        "SELECT commits.job, commits.kind, commits.last - commits.first, report, worker FROM commits "
        "JOIN ranges USING (token) WHERE token = ?1",
        {token});
    if (!rows.next()) return;
    job = rows.integer(0);
    kind = rows.text(1);
    samples = rows.integer(2);
    report = commit_report_of(rows.text(3));
    worker = rows.text(4);
  }
  store_->run("UPDATE ranges SET state = 'done' WHERE token = ?1", {token});
  store_->run("UPDATE commits SET state = 'done' WHERE token = ?1", {token});
  if (kind == "assembly") {
    store_->run(
        "UPDATE jobs SET state = 'completed', error = '', finished_at = ?2 WHERE id = ?1 AND state = 'finalizing'",
        {job, options_.wall_seconds()});
  } else {
    store_->run(
        "UPDATE jobs SET done = done + ?2, failed = failed + ?3, seconds = seconds + ?4, nfe = nfe + ?5, max_nfe = "
        "max(max_nfe, ?6), "
        "rejected = rejected + ?7, useful_rows = useful_rows + ?8, evaluated_rows = evaluated_rows + ?9 WHERE id = ?1",
        {job, samples, report.failed, report.seconds, report.nfe, report.max_nfe, report.rejected, report.useful_rows,
         report.evaluated_rows});
    finish_samples_if_all_are_done(job);
  }
  recording.commit();
  ++counters_.commits;
  if (kind == "assembly") {
    core::log_info("job ", job, " is complete");
    return;
  }
  counters_.samples += samples;
  counters_.nfe += report.nfe;
  counters_.rejected += report.rejected;
  counters_.useful_rows += report.useful_rows;
  counters_.evaluated_rows += report.evaluated_rows;
  recent_.push_back({options_.seconds(), job, samples});
  if (const auto seen = seen_.find(worker); seen != seen_.end()) seen->second.samples += samples;
}

void Dispatcher::replay() {
  std::vector<std::int64_t> tokens;
  {
    Rows rows = store_->query("SELECT token FROM commits WHERE state = 'intent'");
    while (rows.next()) tokens.push_back(rows.integer(0));
  }
  for (const std::int64_t token : tokens) {
    try {
      finish_commit(token);
    } catch (const std::exception& error) {
      core::log_warning("commit ", token, ": ", error.what());
    }
  }
}

/// For people: nothing depends on it.
void Dispatcher::keep_preview(const Held& range, std::int64_t job, std::int64_t first) {
  constexpr std::uint64_t kMostBytes = 256 * 1024;
  constexpr std::size_t kKept = 24;
  const std::string path = preview_path(options_.pool, job, first);
  try {
    if (!files_.exists(path) || files_.size(path) > kMostBytes) return;
    Preview preview{next_preview_++, job, range.first, range.last, std::vector<std::byte>(files_.size(path))};
    files_.read(path, 0, preview.png);
    previews_.push_back(std::move(preview));
    if (previews_.size() > kKept) previews_.pop_front();
  } catch (const core::Error& error) {
    core::log_warning("no preview: ", error.what());
  }
}

/// Parts of completed jobs, and outputs that workers left unfinished when their lease was lost.
void Dispatcher::tidy_completed() {
  std::vector<std::pair<std::int64_t, std::string>> completed;
  {
    Rows rows =
        store_->query("SELECT id, json_extract(spec, '$.output') FROM jobs WHERE state = 'completed' AND tidied = 0");
    while (rows.next()) completed.emplace_back(rows.integer(0), rows.text(1));
  }
  for (const auto& [job, output] : completed) {
    if (tidy(job, output)) store_->run("UPDATE jobs SET tidied = 1 WHERE id = ?1", {job});
  }
}

/// False if it is to be tried again: one job's storage must not keep the others' directories.
bool Dispatcher::tidy(std::int64_t job, const std::string& output) {
  constexpr double kComplainAfter = 600;  // seconds
  const std::string parent = core::parent_of(output);
  try {
    if (files_.is_directory(parent)) {  // moved or removed by its owner since: nothing is left there
      for (const std::string& name : files_.list(parent)) {
        if (name.starts_with(assembly_prefix(job))) core::remove_tree(files_, core::join_path(parent, name));
      }
    }
    core::remove_tree(files_, job_directory(job));
  } catch (const core::Error& error) {
    const auto [last, first] = complained_.try_emplace(job, options_.seconds());
    if (!first && options_.seconds() - last->second < kComplainAfter) return false;
    last->second = options_.seconds();
    core::log_warning("what completed job ", job, " leaves behind is not removed yet: ", error.what());
    return false;
  }
  complained_.erase(job);
  return true;
}

}  // namespace pathline::pool
