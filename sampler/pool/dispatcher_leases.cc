// SPDX-License-Identifier: Apache-2.0
// Giving leases: which job, which range, how much of it.
#include <algorithm>

#include "core/log.h"
#include "sampler/pool/dispatcher.h"
#include "sampler/pool/paths.h"

namespace pathline::pool {
namespace {

constexpr int kMostLeases = 4;  // of one worker: what it works on, what it has fetched ahead

}  // namespace

/// A suspect is held alone, so that its worker's end says something about it. `idle`: the worker holds nothing.
bool Dispatcher::may_hold_more(const std::string& worker, bool& idle) {
  int holds = 0;
  bool suspect = false;
  for (const auto& [token, held] : held_) {
    if (held.worker != worker) continue;
    ++holds;
    suspect |= held.suspect;
  }
  idle = holds == 0;
  return holds < kMostLeases && !suspect;
}

/// 0 if there is no job for it.
std::int64_t Dispatcher::job_for(const WorkerInfo& worker) {
  std::vector<JobLoad> loads;
  Rows rows = store_->query(
      "SELECT id, priority, (SELECT count(*) FROM ranges WHERE job = jobs.id AND state = 'leased'), served FROM jobs "
      "WHERE state IN ('queued', 'running') AND paused = 0 AND fingerprint IN ('', ?1) "
      "AND json_extract(spec, '$.threads') <= ?2 "
      "AND (coalesce(json_extract(spec, '$.device'), 'auto') = 'auto' "
      "OR (json_extract(spec, '$.device') = 'cuda') = (?1 LIKE 'gpu %')) "
      "AND EXISTS (SELECT 1 FROM ranges WHERE job = jobs.id AND state = 'waiting')",
      {worker.fingerprint, worker.threads});
  while (rows.next()) loads.push_back({rows.integer(0), rows.integer(1), rows.integer(2), rows.integer(3)});
  return job_to_serve(loads).value_or(0);
}

/// Assemblies first: they free storage and end a job; the kernels are part of what its parts are checked against. Of a
/// job's ranges the suspects come last.
std::optional<Dispatcher::Range> Dispatcher::range_to_serve(const WorkerInfo& worker) {
  auto found = select_ranges(
      "kind = 'assembly' AND state = 'waiting' AND job IN "
      "(SELECT id FROM jobs WHERE state = 'finalizing' AND paused = 0 AND fingerprint = ?1) "
      "ORDER BY losses + errors, job LIMIT 1",
      {worker.fingerprint});
  if (!found.empty()) return found.front();
  const std::int64_t job = job_for(worker);
  if (job == 0) return std::nullopt;
  found = select_ranges(
      "job = ?1 AND kind <> 'assembly' AND state = 'waiting' ORDER BY suspect, losses + errors, first LIMIT 1", {job});
  return found.empty() ? std::nullopt : std::optional(found.front());
}

std::int64_t Dispatcher::bite_of(const Range& range) {
  if (range.suspect != 0) return range.last - range.first;
  BiteFacts facts;
  facts.range = range.last - range.first;
  facts.waiting =
      store_->integer("SELECT sum(last - first) FROM ranges WHERE job = ?1 AND state = 'waiting'", {range.job});
  facts.slots = spec_of(range.job).slots;
  facts.workers = std::max<std::int64_t>(1, store_->integer("SELECT count(*) FROM workers WHERE state = 'alive'"));
  Rows rows = store_->query("SELECT done, seconds FROM jobs WHERE id = ?1", {range.job});
  if (rows.next() && rows.real(1) > 0) facts.samples_per_second = static_cast<double>(rows.integer(0)) / rows.real(1);
  return bite(facts);
}

std::optional<Lease> Dispatcher::lease(const std::string& worker) {
  const WorkerInfo info = touch(worker);
  bool idle = false;
  if (!may_hold_more(worker, idle) || draining()) return std::nullopt;

  Transaction leasing(*store_);
  auto range = range_to_serve(info);
  // A suspect whose turn has come waits until its worker holds nothing else; more work would put that off for ever.
  if (!range || (range->suspect != 0 && !idle)) return std::nullopt;
  const JobSpec spec = spec_of(range->job);
  const std::int64_t last = range->first + bite_of(*range);
  if (last < range->last) {
    store_->run("INSERT INTO ranges (job, kind, first, last) VALUES (?1, ?2, ?3, ?4)",
                {range->job, range->kind, last, range->last});
    range->last = last;
  }
  range->token = store_->integer("SELECT value FROM pool WHERE key = 'next_token'");
  store_->run("UPDATE pool SET value = value + 1 WHERE key = 'next_token'");
  store_->run(
      "UPDATE ranges SET state = 'leased', token = ?4, worker = ?5, last = ?6 WHERE job = ?1 AND kind = ?2 AND first = "
      "?3",
      {range->job, range->kind, range->first, range->token, worker, range->last});
  // Who only measures binds nobody to its kernels yet: it may be gone before it has found out anything.
  const std::string kernels = range->kind == "slots" ? "" : info.fingerprint;
  store_->run(
      "UPDATE jobs SET served = ?2, state = CASE state WHEN 'queued' THEN 'running' ELSE state END, "
      "fingerprint = CASE fingerprint WHEN '' THEN ?3 ELSE fingerprint END WHERE id = ?1",
      {range->job, range->token, kernels});
  const Lease lease = lease_of(*range, spec);
  leasing.commit();
  held_[range->token] = {range->job,  range->first, range->last,         0,
                         range->kind, worker,       range->suspect != 0, options_.seconds() + options_.lease_seconds};
  ++counters_.leases;
  return lease;
}

Lease Dispatcher::lease_of(const Range& range, const JobSpec& spec) {
  Lease lease;
  lease.token = range.token;
  lease.job = range.job;
  lease.assembly = range.kind == "assembly";
  lease.measure = range.kind == "slots";
  lease.first = range.first;
  lease.last = range.last;
  lease.spec = spec;
  if (lease.measure) return lease;
  lease.path =
      source_path(options_.pool, range.job, lease.assembly, {range.first, range.last}, range.token, spec.output);
  if (!lease.assembly) {
    lease.preview = preview_path(options_.pool, range.job, range.first);
    return lease;
  }
  lease.first = spec.first;
  lease.last = spec.first + spec.count;
  for (const Range& part : select_ranges("job = ?1 AND kind = 'samples' ORDER BY first", {range.job})) {
    (part.state == "done" ? lease.parts : lease.parked).push_back({part.first, part.last});
  }
  for (const IdSpan& part : lease.parts) lease.part_paths.push_back(part_path(options_.pool, range.job, part));
  return lease;
}

/// Inside a transaction.
void Dispatcher::open_samples(std::int64_t job, const JobSpec& spec) {
  store_->run("INSERT INTO ranges (job, kind, first, last) VALUES (?1, 'samples', ?2, ?3)",
              {job, spec.first, spec.first + spec.count});
}

void Dispatcher::set_slots(const std::string& worker, std::int64_t token, std::int64_t slots) {
  const WorkerInfo info = touch(worker);
  check_slots(slots);
  const auto range = leased(token, worker);
  if (!range || range->kind != "slots")
    throw Refused(409, core::concat("lease ", token, " of measuring is not this worker's."));
  JobSpec spec = spec_of(range->job);
  spec.slots = slots;
  Transaction deciding(*store_);
  store_->run("UPDATE jobs SET spec = ?2, fingerprint = ?3 WHERE id = ?1",
              {range->job, to_json(spec), info.fingerprint});
  store_->run("DELETE FROM ranges WHERE token = ?1", {token});
  open_samples(range->job, spec);
  deciding.commit();
  held_.erase(token);
  core::log_info("job ", range->job, ": ", slots, " slots");
}

}  // namespace pathline::pool
