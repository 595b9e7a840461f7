// SPDX-License-Identifier: Apache-2.0
#include "cluster/control_word.h"

#include <span>

#include "core/error.h"

namespace pathline::cluster {

ControlWord::ControlWord(Communicator& ranks) : ranks_(duplicate(ranks)) {}

void ControlWord::publish(std::uint64_t flags) {
  PL_ASSERT(!under_way_);
  word_ = static_cast<std::int64_t>(flags);
  under_way_ = ranks_->start_all_reduce(std::span(&word_, 1), Reduction::kBitOr);
}

std::optional<std::uint64_t> ControlWord::collect() {
  if (!under_way_) return std::nullopt;
  under_way_->wait();
  under_way_.reset();
  return static_cast<std::uint64_t>(word_);
}

}  // namespace pathline::cluster
