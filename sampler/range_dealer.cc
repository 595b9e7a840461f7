// SPDX-License-Identifier: Apache-2.0
#include "sampler/range_dealer.h"

#include <algorithm>
#include <chrono>
#include <span>

#include "core/error.h"
#include "core/machine.h"

namespace pathline::sampler {
namespace {

constexpr double kReportInterval = 1.0;  // seconds

void wait_a_moment() { std::this_thread::sleep_for(std::chrono::microseconds(300)); }

}  // namespace

/// Every message has this form: a question with rate or tally, an answer with a range (empty: no more).
struct RangeDealer::Message {
  Kind kind = Kind::kTake;
  IdRange range;
  double rate = 0;
  Tally tally;

  std::span<std::byte> bytes() { return std::as_writable_bytes(std::span(this, 1)); }
};

std::int64_t next_count(const Dealing& dealing, int ranks, std::int64_t left, double rate) {
  const double wish = rate > 0 ? dealing.seconds * rate : static_cast<double>(dealing.first_range);
  const double most = std::min(wish, static_cast<double>(dealing.most));
  const std::int64_t range = ranks == 1 ? static_cast<std::int64_t>(most) : shrinking_range(most, left, ranks);
  return std::clamp<std::int64_t>(range, 1, std::max<std::int64_t>(left, 1));
}

RangeDealer::RangeDealer(cluster::Communicator& ranks, const std::vector<IdRange>& open, const Dealing& dealing)
    : ranks_(cluster::duplicate(ranks)), dealing_(dealing) {
  if (ranks_->rank() != 0) {
    ask(0);
    return;
  }
  open_.assign(open.begin(), open.end());
  for (const IdRange& range : open_) left_ += range.count();
  tallies_.resize(static_cast<std::size_t>(ranks_->size()));
  answers_.resize(static_cast<std::size_t>(ranks_->size()));
  present_ = ranks_->size() - 1;
  if (present_ > 0) thread_ = std::thread([this] { serve(); });
}

RangeDealer::~RangeDealer() {
  try {
    if (ranks_->rank() == 0) {
      give_up();
      if (thread_.joinable()) thread_.join();
      return;
    }
    if (asked_) answer();  // what it brings is not made
    tell(Kind::kGoodbye, {});
    told_->wait();
  } catch (const std::exception&) {
    // Ranks that cannot be reached: the launcher or the watchdog ends them.
  }
}

std::optional<IdRange> RangeDealer::take(double rate) {
  if (ranks_->rank() == 0) {
    const std::lock_guard lock(mutex_);
    if (failure_) std::rethrow_exception(failure_);
    const IdRange range = deal(rate);
    return range.count() > 0 ? std::optional(range) : std::nullopt;
  }
  if (finished_) return std::nullopt;
  const IdRange range = answer();
  if (finished_) return std::nullopt;
  ask(rate);
  return range;
}

/// Under the mutex. Empty where nothing is left.
IdRange RangeDealer::deal(double rate) {
  if (open_.empty()) return {};
  IdRange& front = open_.front();
  const std::int64_t count = std::min(front.count(), next_count(dealing_, ranks_->size(), left_, rate));
  const IdRange range{front.first, front.first + count};
  front.first = range.last;
  left_ -= count;
  if (front.count() == 0) open_.pop_front();
  return range;
}

void RangeDealer::give_up() {
  if (ranks_->rank() == 0) {
    const std::lock_guard lock(mutex_);
    open_.clear();
    left_ = 0;
  } else {
    tell(Kind::kGiveUp, {});
    finished_ = true;
  }
}

void RangeDealer::ask(double rate) {
  Message message;
  message.rate = rate;
  question_ = ranks_->start_send(message.bytes(), 0);
  asked_ = true;
}

IdRange RangeDealer::answer() {
  PL_ASSERT(asked_);
  Message message;
  while (!ranks_->receive_arrived(message.bytes())) wait_a_moment();
  question_->wait();
  asked_ = false;
  finished_ = finished_ || message.range.count() == 0;
  return message.range;
}

/// Waits for what was told before.
void RangeDealer::tell(Kind kind, const Tally& tally) {
  Message message;
  message.kind = kind;
  message.tally = tally;
  told_.reset();
  told_ = ranks_->start_send(message.bytes(), 0);
}

void RangeDealer::report(const Tally& tally) {
  if (ranks_->rank() == 0) {
    const std::lock_guard lock(mutex_);
    tallies_[0] = tally;
    return;
  }
  const double now = core::monotonic_seconds();
  if (now - reported_at_ < kReportInterval || (told_ && !told_->done())) return;
  reported_at_ = now;
  tell(Kind::kReport, tally);
}

Tally RangeDealer::total() {
  const std::lock_guard lock(mutex_);
  Tally sum;
  for (const Tally& tally : tallies_) {
    sum.done += tally.done;
    sum.failed += tally.failed;
    sum.nfe += tally.nfe;
    sum.useful_rows += tally.useful_rows;
    sum.evaluated_rows += tally.evaluated_rows;
  }
  return sum;
}

void RangeDealer::serve() {
  try {
    while (serve_once()) {
    }
  } catch (...) {
    const std::lock_guard lock(mutex_);
    failure_ = std::current_exception();
  }
}

/// False once every other rank has said goodbye: it has heard all answers then.
bool RangeDealer::serve_once() {
  Message message;
  bool busy = false;
  while (const std::optional<int> from = ranks_->receive_arrived(message.bytes())) {
    handle(message, *from);
    busy = true;
  }
  if (!busy) wait_a_moment();
  return present_ > 0;
}

void RangeDealer::handle(const Message& message, int from) {
  Message reply;
  {
    const std::lock_guard lock(mutex_);
    if (message.kind == Kind::kReport) tallies_[static_cast<std::size_t>(from)] = message.tally;
    if (message.kind == Kind::kGoodbye) --present_;
    if (message.kind == Kind::kGiveUp) {
      open_.clear();
      left_ = 0;
    }
    if (message.kind != Kind::kTake) return;
    reply.range = deal(message.rate);
  }
  reply.kind = Kind::kRange;
  // The asker has taken the answer before, so this waits for nothing.
  answers_[static_cast<std::size_t>(from)] = ranks_->start_send(reply.bytes(), from);
}

}  // namespace pathline::sampler
