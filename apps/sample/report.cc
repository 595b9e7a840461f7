// SPDX-License-Identifier: Apache-2.0
#include "apps/sample/report.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/log.h"
#include "core/text.h"

namespace pathline::apps {

std::string progress_detail(const sampler::Tally& tally) {
  if (tally.done == 0 || tally.evaluated_rows == 0) return "";
  char text[96];
  std::snprintf(text, sizeof text, "NFE %.4g, occupancy %.3f",
                static_cast<double>(tally.nfe) / static_cast<double>(tally.done),
                static_cast<double>(tally.useful_rows) / static_cast<double>(tally.evaluated_rows));
  return text + (tally.failed > 0 ? core::concat(", ", tally.failed, " failed") : "");
}

std::string progress_detail(const sampler::Statistics& made) {
  return progress_detail(sampler::Tally{made.count, made.failed, made.nfe, made.useful_rows, made.evaluated_rows});
}

void print_result(const SampleOptions& options, const sampler::Statistics& set, const sampler::Statistics& made) {
  const double rate = static_cast<double>(made.count) / std::max(made.seconds, 1e-9);
  if (options.json) {
    const nlohmann::ordered_json result = {{"count", set.count},
                                           {"failed", set.failed},
                                           {"made_now", made.count},
                                           {"images_per_second", rate},
                                           {"mean_nfe", set.mean_nfe},
                                           {"max_nfe", set.max_nfe},
                                           {"occupancy", made.occupancy},
                                           {"queued_occupancy", made.queued_occupancy},
                                           {"rejected_steps", set.rejected_steps},
                                           {"seconds", made.seconds},
                                           {"network_seconds", made.field_seconds},
                                           {"output", options.output}};
    std::printf("%s\n", result.dump().c_str());
    return;
  }
  std::printf(
      "%s: %lld samples, %lld of them now in %s (%.3g per second), %.4g evaluations each, at most %lld; %lld steps "
      "rejected, occupancy %.3f\n",
      options.output.c_str(), static_cast<long long>(set.count), static_cast<long long>(made.count),
      core::human_seconds(made.seconds).c_str(), rate, set.mean_nfe, static_cast<long long>(set.max_nfe),
      static_cast<long long>(set.rejected_steps), made.occupancy);
}

void say_trouble(const sampler::Statistics& made) {
  if (made.failed > 0) {
    core::log_warning("failed now: ", made.not_finite, " not finite, ", made.steps_too_short, " with steps too short, ",
                      made.too_many_steps, " with too many steps");
  }
  if (made.at_noise_floor > 0) {
    core::log_warning(
        made.at_noise_floor, " of ", made.count,
        " samples took steps above the tolerance, which lies below the noise of the network's arithmetic; "
        "loosen --rtol and --atol to save evaluations");
  }
}

void check_failures(const sampler::Statistics& set) {
  PL_CHECK(set.failed < set.count, core::ExitCode::kNumerical, "all ", set.count,
           " samples failed (not finite, steps too short or too many), so nothing was written. Loosen --rtol and "
           "--atol, or use an earlier checkpoint.");
  if (set.failed > 0) {
    core::log_warning(set.failed, " of ", set.count,
                      " samples failed and are zero (in .h5 their status is 2); loosen --rtol and --atol");
  }
}

}  // namespace pathline::apps
