// SPDX-License-Identifier: Apache-2.0
#include "apps/sample/trace.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "apps/sample/loaded_job.h"
#include "apps/sample/pin.h"
#include "core/error.h"
#include "core/log.h"
#include "sampler/part_store.h"

namespace pathline::apps {
namespace {

using core::ExitCode;
using nlohmann::ordered_json;

const char* name_of(sampler::Outcome outcome) {
  switch (outcome) {
    case sampler::Outcome::kNotFinite:
      return "not finite";
    case sampler::Outcome::kStepTooShort:
      return "step too short";
    case sampler::Outcome::kTooManySteps:
      return "too many steps";
    default:
      return "done";
  }
}

void print(const ordered_json& line) { std::printf("%s\n", line.dump().c_str()); }

LoadedJob job_of(const SampleOptions& asked, cluster::Communicator& world) {
  core::PosixFileSystem files;
  std::optional<sampler::JobRecord> begun;
  if (!asked.output.empty()) begun = sampler::PartStore(files, asked.output).begun();
  const SampleOptions options = with_pinned_steps(files, asked, begun, world);
  const Decided decided = decide(options, begun);
  PL_CHECK(decided.slots > 0, ExitCode::kUsage,
           "--slots auto was asked with --trace (they are measured when a set begins). Give their number.");
  at::set_num_threads(static_cast<int>(decided.threads));
  const Compute compute = choose_compute(decided.device, launch_of(options), world);
  LoadedJob job = load_job(options, decided, compute, [&](const std::string& path, const SampleOptions& wanted) {
    return load_model(files, path, wanted, compute);
  });
  settle(job, decided);
  return job;
}

}  // namespace

int trace_sample(const SampleOptions& options, cluster::Communicator& world) {
  core::configure_log({.rank = world.rank(), .ranks = world.size(), .file = {}, .level = core::LogLevel::kInfo});
  PL_CHECK(world.size() == 1, ExitCode::kUsage, "--trace was asked on ", world.size(),
           " ranks (it follows one sample). Leave mpirun out.");
  check_sample_options(options);
  SampleOptions alone = options;
  alone.count = std::max<std::int64_t>(1, options.count);
  LoadedJob job = job_of(alone, world);
  std::int64_t steps = 0;
  job.plan.job.watch = [&steps](std::int64_t, const sampler::TriedStep& step, std::int64_t nfe) {
    ordered_json line = {{"step", ++steps}, {"t", step.t}, {"dt", step.dt}};
    if (step.error_ratio) line["error_ratio"] = *step.error_ratio;
    line["accepted"] = step.accepted;
    line["nfe"] = nfe;
    print(line);
  };
  const std::int64_t id = *options.trace;
  sampler::generate(
      job.field, job.plan.job, id, id + 1, [&](std::int64_t one) { return job.plan.condition_of(one); },
      [&](sampler::Sample&& sample) {
        print({{"id", sample.id},
               {"label", job.plan.label_of(sample.id)},
               {"outcome", name_of(sample.outcome)},
               {"steps", steps},
               {"rejected", sample.rejected},
               {"noise_floor_steps", sample.noise_floor_steps},
               {"nfe", sample.nfe}});
      });
  return 0;
}

}  // namespace pathline::apps
