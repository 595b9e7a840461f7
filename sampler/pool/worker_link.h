// SPDX-License-Identifier: Apache-2.0
// A worker's side of the protocol: joins, fetches leases, keeps them alive from a thread of its own, and says what
// became of them. Knows nothing of sampling.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "sampler/pool/connection.h"
#include "sampler/pool/messages.h"

namespace pathline::pool {

struct LinkOptions {
  double patience = 600;       // seconds without a dispatcher after which calls throw Unreachable
  double stall_seconds = 900;  // a worker that gets nowhere for so long renews nothing any more: others take its work
};

class WorkerLink {
 public:
  /// Joins. `stop`: nobody waits for a dispatcher that is away any more.
  WorkerLink(Connection& connection, WorkerInfo worker, std::function<bool()> stop, LinkOptions options = {});
  /// Leaves: leases that are still held go back.
  ~WorkerLink();
  WorkerLink(const WorkerLink&) = delete;
  WorkerLink& operator=(const WorkerLink&) = delete;

  /// Nothing if there is no work for this worker now.
  std::optional<Lease> lease();
  /// The work in hand has got somewhere (a network was evaluated): see LinkOptions::stall_seconds. Any thread.
  void progress();
  /// `done` samples of a lease are made, which is progress too. Any thread.
  void progress(std::int64_t token, std::int64_t done);
  /// Its work belongs to another by now. Any thread.
  bool lost(std::int64_t token) const;

  // Each ends a lease; false where it was lost before. Any thread.
  bool commit(std::int64_t token, const CommitReport& report);
  bool set_slots(std::int64_t token, std::int64_t slots);
  bool give_back(std::int64_t token, const std::string& reason);
  bool report_error(std::int64_t token, const ErrorReport& report);

 private:
  void join();
  std::string worker() const;
  double lease_seconds() const;
  bool end(std::int64_t token, const std::string& how, const std::string& body);
  void beat();
  void beat_until_stopped();

  Connection& connection_;
  const WorkerInfo info_;
  const std::function<bool()> stop_;
  const LinkOptions options_;

  mutable std::mutex mutex_;  // guards the next four
  double lease_seconds_ = 30;
  std::string worker_;
  std::map<std::int64_t, std::int64_t> done_;  // of every lease held
  double last_progress_ = 0;

  std::mutex ending_mutex_;
  std::condition_variable ending_changed_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace pathline::pool
