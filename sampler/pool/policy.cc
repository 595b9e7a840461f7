// SPDX-License-Identifier: Apache-2.0
#include "sampler/pool/policy.h"

#include <algorithm>
#include <tuple>

#include "sampler/timed_work.h"

namespace pathline::pool {

std::optional<std::int64_t> job_to_serve(std::span<const JobLoad> jobs) {
  const auto turn = [](const JobLoad& job) { return std::tuple(-job.priority, job.leases, job.served, job.id); };
  const auto first = std::ranges::min_element(jobs, {}, turn);
  return first == jobs.end() ? std::nullopt : std::optional(first->id);
}

std::int64_t bite(const BiteFacts& facts) {
  const double wanted = facts.samples_per_second * sampler::kSecondsOfRange;
  const std::int64_t samples = sampler::shrinking_range(wanted, facts.waiting, facts.workers);
  const std::int64_t batches = std::max<std::int64_t>(1, samples / facts.slots);
  return std::min(facts.range, batches * facts.slots);
}

Verdict judge(const Trouble& trouble) {
  constexpr std::int64_t kBeforeCut = 2, kBeforeParking = 3;
  if (trouble.samples > 1) return trouble.losses + trouble.errors >= kBeforeCut ? Verdict::kCut : Verdict::kTryAgain;
  const bool park = trouble.errors >= kBeforeParking || trouble.deaths >= kBeforeParking;
  return park ? Verdict::kPark : Verdict::kTryAgain;
}

std::int64_t most_parked(std::int64_t samples_of_job) { return std::max<std::int64_t>(64, samples_of_job / 100); }

std::vector<bool> jobs_that_stay(std::span<const std::set<std::string>> models_of_jobs, std::size_t most) {
  std::vector<bool> stay;
  std::set<std::string> kept;
  std::size_t jobs = 0;
  for (const std::set<std::string>& models : models_of_jobs) {
    std::set<std::string> with = kept;
    with.insert(models.begin(), models.end());
    stay.push_back(stay.empty() || (with.size() <= std::max(most, kept.size()) && jobs < kMostJobsKept));
    if (!stay.back()) continue;
    kept = std::move(with);
    ++jobs;
  }
  return stay;
}

}  // namespace pathline::pool
