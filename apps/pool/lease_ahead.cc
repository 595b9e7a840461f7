// SPDX-License-Identifier: Apache-2.0
#include "apps/pool/lease_ahead.h"

#include <chrono>

namespace pathline::apps {

void LeaseAhead::ask() {
  if (kept_ || asked_.valid()) return;
  asked_ = std::async(std::launch::async, [this] { return link_.lease(); });
}

std::optional<pool::Lease> LeaseAhead::wait() {
  if (kept_) return std::exchange(kept_, std::nullopt);
  return asked_.valid() ? asked_.get() : link_.lease();
}

std::optional<pool::Lease> LeaseAhead::if_there() {
  const bool come = asked_.valid() && asked_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  return kept_ || come ? wait() : std::nullopt;
}

}  // namespace pathline::apps
