// SPDX-License-Identifier: Apache-2.0
// `pathline bench step RECIPE`: how fast a training step is here.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "apps/allocator.h"
#include "apps/cli.h"
#include "cluster/session.h"
#include "trainer/step_benchmark.h"
#include "trainer/telemetry.h"

namespace {

using namespace pathline;

void print(const trainer::StepTimes& times, bool json) {
  if (json) {
    nlohmann::ordered_json memory;
    for (const auto& use : times.memory) memory[use.kind] = use.bytes;
    const nlohmann::ordered_json result = {{"seconds_per_step", times.seconds},
                                           {"compute_seconds", times.compute_seconds},
                                           {"reduce_seconds", times.reduce_seconds},
                                           {"update_seconds", times.update_seconds},
                                           {"exchange_hidden_seconds", times.exchange_hidden_seconds},
                                           {"exchange_exposed_seconds", times.exchange_exposed_seconds},
                                           {"samples_per_second", times.samples_per_second},
                                           {"model_flops_per_second", times.model_flops_per_second},
                                           {"peak_flops_per_second", times.peak_flops_per_second},
                                           {"peak_share", times.model_flops_per_second / times.peak_flops_per_second},
                                           {"peak_rss_bytes", times.peak_memory_bytes},
                                           {"memory_bytes", memory},
                                           {"parameters", times.parameters},
                                           {"slices", times.slices},
                                           {"ranks", times.ranks},
                                           {"threads", times.threads}};
    std::printf("%s\n", result.dump().c_str());
    return;
  }
  const auto [fastest, slowest] = std::minmax_element(times.seconds.begin(), times.seconds.end());
  std::printf("%.1f samples/s, %s (%.0f %% of the %s that matrix products reach here); a step takes %.4f to %.4f s "
              "(forward and backward %.4f, reduction %.4f, update %.4f); peak memory %.0f MB\n",
              times.samples_per_second, trainer::human_flops_rate(times.model_flops_per_second).c_str(),
              100 * times.model_flops_per_second / times.peak_flops_per_second,
              trainer::human_flops_rate(times.peak_flops_per_second).c_str(), *fastest, *slowest, times.compute_seconds,
              times.reduce_seconds, times.update_seconds, times.peak_memory_bytes / 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  apps::keep_large_blocks_mapped();
  CLI::App app{"Measures Pathline on this machine.\nexample: pathline bench step recipes/cifar10.toml --set model.input_size=32 --set model.input_channels=3"};
  app.require_subcommand(1);
  trainer::RunRequest request;
  std::int64_t steps = 10, warmup = 2;
  bool json = false;
  CLI::App* step = app.add_subcommand("step", "training steps on made-up samples in memory");
  step->add_option("recipe", request.recipe, "TOML file")->required();
  step->add_option("--set", request.sets, "changes a key of the recipe: section.key=value")->take_all()->expected(1);
  step->add_option("--steps", steps, "measured steps")->check(CLI::PositiveNumber);
  step->add_option("--warmup", warmup, "steps before")->check(CLI::NonNegativeNumber);
  step->add_flag("--json", json, "one JSON object");
  return apps::run_cli(app, argc, argv, [&] {
    return cluster::run_with_ranks([&](cluster::Communicator& world) {
      const auto times = trainer::benchmark_step(request, warmup, steps, world);
      if (world.rank() == 0) print(times, json);
      return 0;
    });
  });
}
