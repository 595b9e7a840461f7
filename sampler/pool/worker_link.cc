// SPDX-License-Identifier: Apache-2.0
#include "sampler/pool/worker_link.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/log.h"
#include "core/machine.h"
#include "sampler/pool/wire.h"

namespace pathline::pool {
namespace {

constexpr int kBeatsALease = 5;

std::string with_worker(const std::string& json, const std::string& worker) {
  Json body = parse_object(json);
  body["worker"] = worker;
  return dumped(body);
}

}  // namespace

WorkerLink::WorkerLink(Connection& connection, WorkerInfo worker, std::function<bool()> stop, LinkOptions options)
    : connection_(connection), info_(std::move(worker)), stop_(std::move(stop)), options_(options) {
  join();
  thread_ = std::thread([this] { beat_until_stopped(); });
}

WorkerLink::~WorkerLink() {
  {
    const std::lock_guard guard(ending_mutex_);
    ending_ = true;
  }
  ending_changed_.notify_all();
  thread_.join();
  try {
    connection_.request("DELETE", "/v1/workers", dumped({{"worker", worker()}}));
  } catch (const std::exception& error) {
    core::log_warning("the dispatcher will find out by itself that this worker has left: ", error.what());
  }
}

/// Whatever was held under an earlier name is lost.
void WorkerLink::join() {
  const Json answer = parse_object(connection_.ask("POST", "/v1/workers", to_json(info_), options_.patience, stop_));
  const std::lock_guard guard(mutex_);
  worker_ = text_in(answer, "worker");
  lease_seconds_ = number_in(answer, "lease_seconds");
  done_.clear();
}

double WorkerLink::lease_seconds() const {
  const std::lock_guard guard(mutex_);
  return lease_seconds_;
}

std::string WorkerLink::worker() const {
  const std::lock_guard guard(mutex_);
  return worker_;
}

std::optional<Lease> WorkerLink::lease() {
  const Answer answer =
      connection_.request("POST", "/v1/leases", dumped({{"worker", worker()}}), options_.patience, stop_);
  if (answer.status == 204) return std::nullopt;
  if (answer.status == 404) {
    join();
    return std::nullopt;
  }
  PL_CHECK(answer.status == 200, core::ExitCode::kEnvironment, "the pool gives no lease: ", reason_of(answer));
  Lease lease = lease_of(answer.body);
  const std::lock_guard guard(mutex_);
  done_[lease.token] = 0;
  last_progress_ = core::monotonic_seconds();
  return lease;
}

void WorkerLink::progress() {
  const std::lock_guard guard(mutex_);
  last_progress_ = core::monotonic_seconds();
}

void WorkerLink::progress(std::int64_t token, std::int64_t done) {
  const std::lock_guard guard(mutex_);
  last_progress_ = core::monotonic_seconds();
  if (const auto held = done_.find(token); held != done_.end()) held->second = done;
}

bool WorkerLink::lost(std::int64_t token) const {
  const std::lock_guard guard(mutex_);
  return !done_.contains(token);
}

/// The answer 409 or 404 means that the lease was lost; a commit that was refused leaves a file that nobody wants.
bool WorkerLink::end(std::int64_t token, const std::string& how, const std::string& body) {
  if (lost(token)) return false;
  const Answer answer = connection_.request("POST", core::concat("/v1/leases/", token, "/", how),
                                            with_worker(body, worker()), options_.patience, stop_);
  const std::lock_guard guard(mutex_);
  done_.erase(token);
  last_progress_ = core::monotonic_seconds();
  if (answer.status < 300) return true;
  core::log_warning("lease ", token, ": ", reason_of(answer));
  return false;
}

bool WorkerLink::commit(std::int64_t token, const CommitReport& report) {
  return end(token, "commit", to_json(report));
}

bool WorkerLink::set_slots(std::int64_t token, std::int64_t slots) {
  return end(token, "slots", dumped({{"slots", slots}}));
}

bool WorkerLink::give_back(std::int64_t token, const std::string& reason) {
  return end(token, "return", dumped({{"reason", reason}}));
}

bool WorkerLink::report_error(std::int64_t token, const ErrorReport& report) {
  return end(token, "error", to_json(report));
}

void WorkerLink::beat() {
  Json leases = Json::array();
  std::string body;
  {
    const std::lock_guard guard(mutex_);
    if (!done_.empty() && core::monotonic_seconds() - last_progress_ > options_.stall_seconds) {
      return core::log_error("this worker has got nowhere for ", options_.stall_seconds,
                             " s and lets its leases run out");
    }
    for (const auto& [token, done] : done_) leases.push_back({{"token", token}, {"done", done}});
    body = dumped({{"worker", worker_}, {"leases", leases}});
  }
  const Answer answer = connection_.request("POST", "/v1/heartbeat", body);
  if (answer.status == 404) return join();
  PL_CHECK(answer.status == 200, core::ExitCode::kEnvironment, reason_of(answer));
  const Json lost = parse_object(answer.body).at("lost");
  const std::lock_guard guard(mutex_);
  for (const Json& token : lost) done_.erase(token.get<std::int64_t>());
}

void WorkerLink::beat_until_stopped() {
  std::unique_lock guard(ending_mutex_);
  while (!ending_changed_.wait_for(guard, std::chrono::duration<double>(lease_seconds() / kBeatsALease),
                                   [this] { return ending_; })) {
    guard.unlock();
    try {
      beat();
    } catch (const std::exception& error) {
      core::log_warning("heartbeat: ", error.what());
    }
    guard.lock();
  }
}

}  // namespace pathline::pool
