// SPDX-License-Identifier: Apache-2.0
// Fetching work ahead: the dispatcher's answer is there before it is needed.
#pragma once

#include <future>
#include <optional>
#include <utility>

#include "sampler/pool/worker_link.h"

namespace pathline::apps {

/// The next lease, asked for while the present one is computed.
class LeaseAhead {
 public:
  explicit LeaseAhead(pool::WorkerLink& link) : link_(link) {}
  /// Unless that is under way, or one is there.
  void ask();
  /// What has come; does not wait.
  std::optional<pool::Lease> if_there();
  /// Nothing if there is no work.
  std::optional<pool::Lease> wait();
  /// What has come goes here again: it is of another job.
  void put_back(pool::Lease lease) { kept_ = std::move(lease); }

 private:
  pool::WorkerLink& link_;
  std::future<std::optional<pool::Lease>> asked_;
  std::optional<pool::Lease> kept_;
};

}  // namespace pathline::apps
