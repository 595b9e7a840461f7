// SPDX-License-Identifier: Apache-2.0
// What all parts of the dispatcher share: the store's rows as values, workers that come and go, the clock.
#include "sampler/pool/dispatcher.h"

#include <cstdio>
#include <random>

#include "core/log.h"
#include "core/text.h"
#include "sampler/pool/store.h"

namespace pathline::pool {

Dispatcher::Dispatcher(core::FileSystem& files, DispatcherOptions options)
    : files_(files), options_(std::move(options)), store_(open_store(options_.pool)) {
  load_leases();
  const double now = options_.seconds();
  Rows rows = store_->query("SELECT id FROM workers WHERE state = 'alive'");
  while (rows.next()) seen_[rows.text(0)].last = now;
  last_tick_ = now;
  replay();
}

void Dispatcher::load_leases() {
  for (const Range& range : select_ranges("state = 'leased'", {})) {
    held_[range.token] = {range.job, range.first, range.last, 0, range.kind, range.worker, range.suspect != 0, 0};
  }
  restart_leases();
}

void Dispatcher::restart_leases() {
  const double now = options_.seconds();
  for (auto& [token, held] : held_) held.deadline = now + options_.lease_seconds;
  for (auto& [worker, seen] : seen_) seen.last = now;
}

std::vector<Dispatcher::Range> Dispatcher::select_ranges(const std::string& where, const std::vector<Value>& values) {
  std::vector<Range> found;
  Rows rows = store_->query(
      "SELECT job, kind, first, last, state, token, worker, suspect, losses, errors, dead, error "
      "FROM ranges WHERE " +
          where,
      values);
  while (rows.next()) {
    found.push_back({rows.integer(0), rows.text(1), rows.integer(2), rows.integer(3), rows.text(4), rows.integer(5),
                     rows.text(6), rows.integer(7), rows.integer(8), rows.integer(9), core::split(rows.text(10), ' '),
                     rows.text(11)});
  }
  return found;
}

/// Nobody has these ranges any more.
void Dispatcher::take_back(const std::string& where, const std::vector<Value>& values) {
  store_->run("UPDATE ranges SET state = 'waiting', token = 0, worker = '' WHERE " + where, values);
}

std::optional<Dispatcher::Range> Dispatcher::leased(std::int64_t token, const std::string& worker) {
  const auto found = select_ranges("token = ?1 AND state = 'leased' AND worker = ?2", {token, worker});
  return found.empty() ? std::nullopt : std::optional(found.front());
}

std::string Dispatcher::job_state(std::int64_t id) {
  Rows rows = store_->query("SELECT state FROM jobs WHERE id = ?1", {id});
  if (!rows.next()) throw Refused(404, core::concat("there is no job ", id, "."));
  return rows.text(0);
}

JobSpec Dispatcher::spec_of(std::int64_t id) {
  Rows rows = store_->query("SELECT spec FROM jobs WHERE id = ?1", {id});
  if (!rows.next()) throw Refused(404, core::concat("there is no job ", id, "."));
  return parse_job_spec(rows.text(0));
}

std::string Dispatcher::job_directory(std::int64_t job) const {
  return core::join_path(options_.pool, core::concat("jobs/", job));
}

namespace {

std::string new_worker_id() {
  std::random_device random;
  char text[17];
  std::snprintf(text, sizeof(text), "%08x%08x", random(), random());
  return text;
}

}  // namespace

std::string Dispatcher::join(const WorkerInfo& worker) {
  constexpr std::int64_t kKeptWorkers = 1000;
  const std::string id = new_worker_id();
  Transaction joining(*store_);
  store_->run("DELETE FROM workers WHERE state <> 'alive' AND rowid <= (SELECT max(rowid) FROM workers) - ?1",
              {kKeptWorkers});
  store_->run(
      "INSERT INTO workers (id, name, host, pid, fingerprint, threads, joined_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
      {id, worker.name, worker.host, worker.pid, worker.fingerprint, worker.threads, options_.wall_seconds()});
  joining.commit();
  seen_[id].last = options_.seconds();
  return id;
}

/// The worker was heard of. One that was believed lost has not died.
WorkerInfo Dispatcher::touch(const std::string& worker) {
  WorkerInfo info;
  std::string state;
  {
    Rows rows =
        store_->query("SELECT name, host, pid, fingerprint, threads, state FROM workers WHERE id = ?1", {worker});
    if (!rows.next()) throw Refused(404, "this worker is not known here: it must join again.");
    info = {rows.text(0), rows.text(1), rows.integer(2), rows.text(3), rows.integer(4)};
    state = rows.text(5);
  }
  if (state != "alive") {
    Transaction back(*store_);
    store_->run("UPDATE workers SET state = 'alive' WHERE id = ?1", {worker});
    forgive(worker);
    back.commit();
  }
  seen_[worker].last = options_.seconds();
  return info;
}

void Dispatcher::leave(const std::string& worker) {
  touch(worker);
  Transaction leaving(*store_);
  take_back("worker = ?1 AND state = 'leased'", {worker});
  store_->run("UPDATE workers SET state = 'left' WHERE id = ?1", {worker});
  leaving.commit();
  counters_.returned +=
      static_cast<std::int64_t>(std::erase_if(held_, [&](const auto& held) { return held.second.worker == worker; }));
  seen_.erase(worker);
}

std::vector<std::int64_t> Dispatcher::heartbeat(const std::string& worker,
                                                const std::map<std::int64_t, std::int64_t>& done) {
  touch(worker);
  std::vector<std::int64_t> lost;
  for (const auto& [token, samples] : done) {
    const auto held = held_.find(token);
    if (held == held_.end() || held->second.worker != worker) {
      lost.push_back(token);
      continue;
    }
    held->second.deadline = options_.seconds() + options_.lease_seconds;
    held->second.done = samples;
  }
  return lost;
}

void Dispatcher::drain(bool draining) {
  store_->run("UPDATE pool SET value = ?1 WHERE key = 'draining'", {std::int64_t{draining}});
}

bool Dispatcher::draining() { return store_->integer("SELECT value FROM pool WHERE key = 'draining'") != 0; }

std::vector<WorkerView> Dispatcher::workers() {
  std::vector<WorkerView> views;
  Rows rows = store_->query(
      "SELECT id, name, host, pid, fingerprint, threads, state FROM workers"
      " ORDER BY state = 'left', state = 'lost', rowid DESC LIMIT 500");
  const double now = options_.seconds();
  while (rows.next()) {
    WorkerView view;
    view.id = rows.text(0);
    view.info = {rows.text(1), rows.text(2), rows.integer(3), rows.text(4), rows.integer(5)};
    view.state = rows.text(6);
    if (const auto seen = seen_.find(view.id); seen != seen_.end()) {
      view.heartbeat_age = now - seen->second.last;
      view.samples = seen->second.samples;
    }
    for (const auto& [token, held] : held_) {  // tokens ascend: the first is what it works on, the next waits
      if (held.worker != view.id) continue;
      view.job = held.job;
      view.kind = held.kind;
      view.first = held.first;
      view.last = held.last;
      view.done = held.done;
      break;
    }
    views.push_back(std::move(view));
  }
  return views;
}

void Dispatcher::tick() {
  const double now = options_.seconds();
  if (now - last_tick_ > options_.lease_seconds / 2) {
    core::log_warning("the dispatcher stood still for ", core::human_seconds(now - last_tick_),
                      "; all leases have their full length again");
    restart_leases();
  }
  last_tick_ = now;
  expire();
  replay();
  tidy_completed();
}

}  // namespace pathline::pool
