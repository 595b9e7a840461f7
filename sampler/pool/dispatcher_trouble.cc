// SPDX-License-Identifier: Apache-2.0
// What becomes of a range whose lease was lost, given back, or ended with an error.
#include <algorithm>

#include "core/log.h"
#include "core/text.h"
#include "sampler/pool/dispatcher.h"

namespace pathline::pool {
namespace {

/// For people.
std::string work_of(const std::string& kind, std::int64_t first, std::int64_t last) {
  if (kind == "assembly") return "putting the output together";
  if (kind == "slots") return "measuring slots";
  return core::concat("samples ", first, " to ", last - 1);
}

}  // namespace

/// Inside a transaction: the range is tried again, cut or parked, with the counts it has now.
void Dispatcher::suffer(Range range) {
  const Trouble trouble{range.last - range.first, range.losses, range.errors,
                        static_cast<std::int64_t>(range.dead.size())};
  const Verdict verdict = judge(trouble);
  if (verdict == Verdict::kCut) return replace(range, {range.first + trouble.samples / 2});
  const bool parked = verdict == Verdict::kPark;
  std::string dead;
  for (const std::string& worker : range.dead) dead += (dead.empty() ? "" : " ") + worker;
  if (parked && range.error.empty()) range.error = core::concat(range.dead.size(), " workers died while making it");
  store_->run(
      "UPDATE ranges SET state = ?4, token = 0, worker = '', suspect = 1, losses = ?5, errors = ?6, dead = ?7, error = "
      "?8 "
      "WHERE job = ?1 AND kind = ?2 AND first = ?3",
      {range.job, range.kind, range.first, parked ? "parked" : "waiting", range.losses, range.errors, dead,
       range.error});
  if (!parked) return;
  if (range.kind == "assembly") return fail_job(range.job, "its parts could not be put together: " + range.error);
  if (range.kind == "slots") return fail_job(range.job, "its slots could not be measured: " + range.error);
  core::log_warning("job ", range.job, ": sample ", range.first, " is parked: ", range.error);
  ++counters_.parked;
  const JobView view = job(range.job);
  if (view.parked > most_parked(view.spec.count)) {
    return fail_job(range.job, core::concat(view.parked, " samples are parked; the last one: ", range.error));
  }
  finish_samples_if_all_are_done(range.job);
}

/// Inside a transaction: smaller waiting ranges, suspects like it, in the place of one, cut at the borders that lie
/// inside it.
void Dispatcher::replace(const Range& range, std::vector<std::int64_t> borders) {
  std::erase_if(borders, [&](std::int64_t border) { return border <= range.first || border >= range.last; });
  borders.push_back(range.last);
  store_->run("DELETE FROM ranges WHERE job = ?1 AND kind = ?2 AND first = ?3", {range.job, range.kind, range.first});
  std::int64_t first = range.first;
  for (const std::int64_t last : borders) {
    store_->run("INSERT INTO ranges (job, kind, first, last, suspect) VALUES (?1, ?2, ?3, ?4, 1)",
                {range.job, range.kind, first, last});
    first = last;
  }
}

void Dispatcher::give_back(const std::string& worker, std::int64_t token, const std::string& reason) {
  touch(worker);
  const auto range = leased(token, worker);
  if (!range) throw Refused(409, core::concat("lease ", token, " is not this worker's any more."));
  take_back("token = ?1", {token});
  held_.erase(token);
  ++counters_.returned;
  if (reason.empty()) return;
  core::log_warning("job ", range->job, ", ", work_of(range->kind, range->first, range->last),
                    ": a worker gave the lease back: ", reason);
  store_->run("UPDATE jobs SET error = ?2 WHERE id = ?1", {range->job, reason});  // for those who wonder why it waits
}

void Dispatcher::report_error(const std::string& worker, std::int64_t token, const ErrorReport& report) {
  touch(worker);
  auto range = leased(token, worker);
  if (!range) throw Refused(409, core::concat("lease ", token, " is not this worker's any more."));
  core::log_warning("job ", range->job, ", ", work_of(range->kind, range->first, range->last), ": ", report.text);
  Transaction failing(*store_);
  range->error = report.text;
  const bool inside = report.sample >= range->first && report.sample < range->last;
  if (report.whole_job) {
    take_back("token = ?1", {token});
    store_->run("UPDATE jobs SET job_errors = job_errors + 1, error = ?2 WHERE id = ?1", {range->job, report.text});
    if (store_->integer("SELECT job_errors FROM jobs WHERE id = ?1", {range->job}) >= kMostJobErrors)
      fail_job(range->job, report.text);
  } else if (inside && range->last - range->first > 1) {
    replace(*range, {report.sample, report.sample + 1});
    store_->run("UPDATE ranges SET errors = 1, error = ?3 WHERE job = ?1 AND kind = 'samples' AND first = ?2",
                {range->job, report.sample, report.text});
  } else {
    ++range->errors;
    suffer(*range);
  }
  failing.commit();
  held_.erase(token);
  if (job_state(range->job) == "failed") forget_leases(range->job);
  ++counters_.errors;
}

/// Its lease ran out. Only one that held a single sample counts as a death, and only if nothing else is heard of it.
void Dispatcher::lose(std::int64_t token, const Held& held) {
  auto range = leased(token, held.worker);
  if (!range) return;
  const bool gone =
      store_->integer("SELECT count(*) FROM workers WHERE id = ?1 AND state = 'alive'", {held.worker}) == 0;
  ++range->losses;
  const bool known = std::ranges::find(range->dead, held.worker) != range->dead.end();
  if (gone && !known && range->last - range->first == 1) range->dead.push_back(held.worker);
  core::log_warning("job ", held.job, ", ", work_of(held.kind, held.first, held.last), ": the lease of worker ",
                    held.worker, " ran out");
  suffer(*range);
}

void Dispatcher::expire() {
  const double now = options_.seconds();
  std::vector<std::string> silent;
  for (const auto& [worker, seen] : seen_) {
    if (now - seen.last > options_.lease_seconds) silent.push_back(worker);
  }
  std::map<std::int64_t, Held> over;
  for (const auto& [token, held] : held_) {
    if (held.deadline < now) over[token] = held;
  }
  if (silent.empty() && over.empty()) return;
  Transaction losing(*store_);
  for (const std::string& worker : silent) store_->run("UPDATE workers SET state = 'lost' WHERE id = ?1", {worker});
  for (const auto& [token, held] : over) lose(token, held);
  losing.commit();
  for (const std::string& worker : silent) seen_.erase(worker);
  for (const auto& [token, held] : over) {
    held_.erase(token);
    ++counters_.lost;
    if (job_state(held.job) == "failed") forget_leases(held.job);
  }
}

/// Inside a transaction: it has not died, whatever its silence made us believe.
void Dispatcher::forgive(const std::string& worker) {
  for (const Range& range : select_ranges("state IN ('waiting', 'leased') AND dead LIKE '%' || ?1 || '%'", {worker})) {
    std::string dead;
    for (const std::string& other : range.dead) {
      if (other != worker) dead += (dead.empty() ? "" : " ") + other;
    }
    store_->run("UPDATE ranges SET dead = ?4 WHERE job = ?1 AND kind = ?2 AND first = ?3",
                {range.job, range.kind, range.first, dead});
  }
}

}  // namespace pathline::pool
