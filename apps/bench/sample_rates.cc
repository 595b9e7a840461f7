// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/sample_rates.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "apps/sample/loaded_job.h"
#include "core/error.h"
#include "core/file_system.h"
#include "core/machine.h"
#include "sampler/list_schedule.h"

namespace pathline::apps {
namespace {

using core::ExitCode;

/// One round: all samples, in order of ids; their evaluations go to `nfe`.
sampler::Statistics make_all(const LoadedJob& job, std::vector<std::int64_t>& nfe) {
  const std::int64_t first = job.options.first, last = first + job.options.count;
  const double start = core::monotonic_seconds();
  sampler::Statistics made = sampler::generate(
      job.field, job.plan.job, first, last, [&](std::int64_t id) { return job.plan.condition_of(id); },
      [&](sampler::Sample&& sample) { nfe.at(static_cast<std::size_t>(sample.id - first)) = sample.nfe; });
  made.seconds = core::monotonic_seconds() - start;
  return made;
}

LoadedJob job_of(const SampleOptions& options, SampleRates& rates, cluster::Communicator& world) {
  core::PosixFileSystem files;
  Decided decided = decide(options, std::nullopt);
  at::set_num_threads(static_cast<int>(decided.threads));
  const Compute compute = choose_compute(decided.device, launch_of(options), world);
  LoadedJob job = load_job(options, decided, compute, [&](const std::string& path, const SampleOptions& wanted) {
    return load_model(files, path, wanted, compute);
  });
  rates.curve = sampler::measure_batch_curve(job.field, job.plan.job, std::max(kMostMeasuredSlots, decided.slots));
  if (decided.slots == 0) decided.slots = sampler::best_slots(rates.curve);
  settle(job, decided);
  rates.device = device_kind_of(compute.kernels);
  rates.slots = decided.slots;
  rates.threads = decided.threads;
  rates.count = options.count;
  return job;
}

}  // namespace

std::vector<double> SampleRates::bound() const {
  std::vector<double> rates;
  for (const double seconds : network_seconds) rates.push_back(static_cast<double>(slots) / seconds / mean_nfe);
  return rates;
}

SampleRates benchmark_sample(const SampleOptions& options, int rounds, cluster::Communicator& world) {
  PL_CHECK(world.size() == 1, ExitCode::kUsage, "`bench sample` was started on ", world.size(),
           " ranks (it measures one). Leave mpirun out.");
  check_sample_options(options);
  SampleRates rates;
  const LoadedJob job = job_of(options, rates, world);
  std::vector<std::int64_t> nfe(static_cast<std::size_t>(options.count));
  for (int round = 0; round < rounds; ++round) {
    rates.network_seconds.push_back(sampler::seconds_of_evaluation(job.field, job.plan.job, rates.slots));
    const sampler::Statistics made = make_all(job, nfe);
    const double ticks = static_cast<double>(made.evaluated_rows) / static_cast<double>(rates.slots);
    rates.images_per_second.push_back(static_cast<double>(made.count) / made.seconds);
    rates.tick_seconds.push_back(made.seconds / ticks);
    rates.mean_nfe = made.mean_nfe;
    rates.max_nfe = made.max_nfe;
    rates.rejected_steps = made.rejected_steps;
    rates.occupancy = made.occupancy;
    rates.queued_occupancy = made.queued_occupancy;
  }
  const auto evaluations = static_cast<double>(options.count) * rates.mean_nfe;
  rates.ideal_occupancy = evaluations / static_cast<double>(sampler::list_schedule(nfe, rates.slots) * rates.slots);
  return rates;
}

}  // namespace pathline::apps
