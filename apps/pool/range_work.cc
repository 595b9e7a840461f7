// SPDX-License-Identifier: Apache-2.0
#include "apps/pool/range_work.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "core/machine.h"
#include "core/text.h"

namespace pathline::apps {

Poison Poison::from_environment() {
  const char* text = std::getenv("PATHLINE_POOL_TEST_POISON");
  if (!text) return {};
  const auto parts = core::split(text, ':');
  return {core::parse_integer(parts.at(0), "PATHLINE_POOL_TEST_POISON"), parts.size() > 1 && parts[1] == "kill"};
}

RangeWork::RangeWork(const PreparedJob& job, pool::WorkerLink& link, LeaseAhead& ahead, PartWriter& writer,
                     std::function<bool()> stop, Poison poison)
    : job_(job), link_(link), ahead_(ahead), writer_(writer), stop_(std::move(stop)), poison_(poison) {}

void RangeWork::open(const pool::Lease& lease) {
  Open& range = open_[lease.first];
  range.lease = lease;
  range.next = lease.first;
  range.done = 0;
  range.records.resize(static_cast<std::size_t>(lease.last - lease.first));
}

/// The range whose ids are given out.
RangeWork::Open* RangeWork::unfinished() {
  for (auto& [first, range] : open_) {
    if (range.next < range.lease.last && !link_.lost(range.lease.token)) return &range;
  }
  return nullptr;
}

/// It was lost here and comes back while its samples are still in the slots.
bool RangeWork::overlaps(const pool::Lease& lease) const {
  return std::ranges::any_of(open_, [&](const auto& one) {
    return lease.first < one.second.lease.last && one.second.lease.first < lease.last;
  });
}

std::optional<std::int64_t> RangeWork::next_id() {
  Open* range = unfinished();
  if (!range) {
    auto lease = ahead_.if_there();
    if (!lease) return std::nullopt;
    if (lease->job != job_.id || lease->assembly || lease->measure || overlaps(*lease)) {
      ahead_.put_back(std::move(*lease));
      return std::nullopt;
    }
    open(*lease);
    range = &open_[lease->first];
  }
  const std::int64_t id = range->next++;
  if (2 * (id - range->lease.first) >= range->lease.last - range->lease.first) ahead_.ask();
  if (id == poison_.id && poison_.kills) std::_Exit(9);
  if (id == poison_.id) throw Poisoned(id, core::concat("sample ", id, " was told to fail"));
  return id;
}

void RangeWork::add(sampler::Sample&& sample, const sampler::Statistics& so_far) {
  const auto found = std::prev(open_.upper_bound(sample.id));
  Open& range = found->second;
  const std::int64_t id = sample.id;
  range.records.at(static_cast<std::size_t>(id - range.lease.first)) = job_.record_of(std::move(sample));
  link_.progress(range.lease.token, ++range.done);
  if (range.done < range.lease.last - range.lease.first) return;
  pool::CommitReport report;
  const double now = core::monotonic_seconds();
  report.seconds = now - since_;
  report.useful_rows = so_far.useful_rows - reported_.useful_rows;
  report.evaluated_rows = so_far.evaluated_rows - reported_.evaluated_rows;
  since_ = now;
  reported_ = so_far;
  if (!link_.lost(range.lease.token)) writer_.write(job_, range.lease, std::move(range.records), report);
  open_.erase(found);
}

/// Whatever was in the slots may be to blame. Suspects are alone there, so that in the end the right one is.
void RangeWork::report(const std::string& error, std::int64_t sample) {
  for (const auto& [first, range] : open_) {
    const bool inside = sample >= range.lease.first && sample < range.lease.last;
    if (sample >= 0 && !inside) {
      link_.give_back(range.lease.token, "");
    } else {
      link_.report_error(range.lease.token, {error, false, sample});
    }
  }
  open_.clear();
}

void RangeWork::give_back() {
  for (const auto& [first, range] : open_) link_.give_back(range.lease.token, "");
  open_.clear();
}

void RangeWork::run(const pool::Lease& first) {
  open(first);
  reported_ = {};
  since_ = core::monotonic_seconds();
  const sampler::Field field = [this](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    if (stop_()) throw Stopped("stopped");
    return job_.field(x, t, labels);
  };
  try {
    sampler::generate(
        field, job_.plan.job, [this] { return next_id(); }, [this](std::int64_t id) { return job_.plan.label_of(id); },
        [this](sampler::Sample&& sample, const sampler::Statistics& so_far) { add(std::move(sample), so_far); });
  } catch (const Stopped&) {
  } catch (const pool::Unreachable&) {
    throw;
  } catch (const Poisoned& error) {
    report(error.what(), error.id);
  } catch (const std::exception& error) {
    const std::string text = error.what();
    report(text.substr(0, text.find('\n')), -1);  // LibTorch adds a stack
  }
  give_back();  // what was stopped; lost ranges that were not finished are refused there, which is right
}

}  // namespace pathline::apps
