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
namespace {

constexpr std::size_t kMostJobs = 16;  // share batches, and stay in memory while they do

}  // namespace

Poison Poison::from_environment() {
  const char* text = std::getenv("PATHLINE_POOL_TEST_POISON");
  if (!text) return {};
  const auto parts = core::split(text, ':');
  return {core::parse_integer(parts.at(0), "PATHLINE_POOL_TEST_POISON"), parts.size() > 1 && parts[1] == "kill"};
}

RangeWork::RangeWork(Prepare prepare, pool::WorkerLink& link, LeaseAhead& ahead, PartWriter& writer,
                     std::function<bool()> stop, Poison poison)
    : prepare_(std::move(prepare)),
      link_(link),
      ahead_(ahead),
      writer_(writer),
      stop_(std::move(stop)),
      poison_(poison) {}

RangeWork::Open* RangeWork::open(const PreparedJob& job, const pool::Lease& lease) {
  Open& range = open_[{&job.plan.job, lease.first}];
  range.job = jobs_.at(job.id);
  range.lease = lease;
  range.next = lease.first;
  range.done = 0;
  range.records.resize(static_cast<std::size_t>(lease.last - lease.first));
  return &range;
}

/// The range whose ids are given out.
RangeWork::Open* RangeWork::unfinished() {
  for (auto& [key, range] : open_) {
    if (range.next < range.lease.last && !link_.lost(range.lease.token)) return &range;
  }
  return nullptr;
}

/// It was lost here and comes back while its samples are still in the slots.
bool RangeWork::overlaps(const pool::Lease& lease) const {
  return std::ranges::any_of(open_, [&](const auto& one) {
    const pool::Lease& held = one.second.lease;
    return lease.job == held.job && lease.first < held.last && held.first < lease.last;
  });
}

bool RangeWork::may_join(const pool::Lease& lease) const {
  if (lease.assembly || lease.measure || overlaps(lease)) return false;
  return jobs_.contains(lease.job) || (jobs_.size() < kMostJobs && pool::same_networks(lease.spec, spec_));
}

/// Its job, if its samples may lie beside those in the slots. Else the lease waits until they are empty, or is
/// reported.
const PreparedJob* RangeWork::joined(const pool::Lease& lease) {
  const auto known = jobs_.find(lease.job);
  if (known != jobs_.end()) return known->second.get();
  const auto job = prepare_(lease);
  if (!job) return nullptr;
  if (!sampler::share_batch(job->plan.job, job_->plan.job)) {
    ahead_.put_back(lease);
    return nullptr;
  }
  core::log_info("job ", lease.job, " shares the batches of job ", job_->id);
  return jobs_.emplace(lease.job, job).first->second.get();
}

/// A lease that has come, opened if it may be.
RangeWork::Open* RangeWork::open_next() {
  const auto lease = ahead_.if_there();
  if (!lease) return nullptr;
  if (!may_join(*lease)) {
    ahead_.put_back(*lease);
    return nullptr;
  }
  const PreparedJob* job = joined(*lease);
  return job ? open(*job, *lease) : nullptr;
}

std::optional<sampler::Request> RangeWork::next() {
  if (writer_.in_trouble()) return std::nullopt;  // samples that cannot be written would be made in vain
  Open* range = unfinished();
  if (!range) range = open_next();
  if (!range) return std::nullopt;
  const std::int64_t id = range->next++;
  if (2 * (id - range->lease.first) >= range->lease.last - range->lease.first) ahead_.ask();
  if (id == poison_.id && poison_.kills) std::_Exit(9);
  if (id == poison_.id) throw Poisoned(id, core::concat("sample ", id, " was told to fail"));
  return sampler::Request{&range->job->plan.job, id, range->job->plan.condition_of(id)};
}

void RangeWork::add(sampler::Sample&& sample, const sampler::Statistics& so_far) {
  const auto found = std::prev(open_.upper_bound({sample.job, sample.id}));
  Open& range = found->second;
  const std::int64_t id = sample.id;
  range.records.at(static_cast<std::size_t>(id - range.lease.first)) = range.job->record_of(std::move(sample));
  link_.progress(range.lease.token, ++range.done);
  if (range.done < range.lease.last - range.lease.first) return;
  pool::CommitReport report;
  const double now = core::monotonic_seconds();
  report.seconds = now - since_;
  report.useful_rows = so_far.useful_rows - reported_.useful_rows;
  report.evaluated_rows = so_far.evaluated_rows - reported_.evaluated_rows;
  since_ = now;
  reported_ = so_far;
  if (!link_.lost(range.lease.token)) writer_.write(range.job, range.lease, std::move(range.records), report);
  open_.erase(found);
}

/// Whatever was in the slots may be to blame. Suspects are alone there, so that in the end the right one is.
void RangeWork::report(const std::string& error, std::int64_t sample) {
  for (const auto& [key, range] : open_) {
    const bool inside = sample >= range.lease.first && sample < range.lease.last;
    if (sample >= 0 && !inside) {
      link_.give_back(range.lease.token, "");
    } else {
      link_.report_error(range.lease.token, {error, false, sample});
    }
  }
  open_.clear();
}

void RangeWork::give_back(const std::string& reason) {
  for (const auto& [key, range] : open_) link_.give_back(range.lease.token, reason);
  open_.clear();
}

void RangeWork::run(std::shared_ptr<const PreparedJob> job, const pool::Lease& first) {
  job_ = job;
  spec_ = first.spec;
  jobs_ = {{job->id, job}};
  open(*job, first);
  reported_ = {};
  since_ = core::monotonic_seconds();
  const sampler::Field field = [this](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    if (stop_()) throw Stopped("stopped");
    link_.progress();
    return job_->field(x, t, labels);
  };
  try {
    sampler::generate(
        field, job_->plan.job, [this] { return next(); },
        [this](sampler::Sample&& sample, const sampler::Statistics& so_far) { add(std::move(sample), so_far); });
  } catch (const Stopped&) {
  } catch (const pool::Unreachable&) {
    throw;
  } catch (const Poisoned& error) {
    report(error.what(), error.id);
  } catch (const std::exception& error) {
    if (is_workers_fault(error)) {
      give_back(error.what());
      throw;
    }
    const std::string text = error.what();
    report(text.substr(0, text.find('\n')), -1);  // LibTorch adds a stack
  }
  give_back("");  // what was stopped; lost ranges that were not finished are refused there, which is right
}

}  // namespace pathline::apps
