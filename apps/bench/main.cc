// SPDX-License-Identifier: Apache-2.0
// `pathline bench step RECIPE`: how fast a training step is here; `pathline bench checkpoint`: how fast checkpoints
// are; `pathline bench loader FILE`: how fast images come; `pathline bench sample`: how fast samples are made.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "apps/allocator.h"
#include "apps/bench/loader_rates.h"
#include "apps/bench/sample_rates.h"
#include "apps/cli.h"
#include "cluster/session.h"
#include "trainer/checkpoint_benchmark.h"
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
  std::printf(
      "%.1f samples/s, %s (%.0f %% of the %s that matrix products reach here); a step takes %.4f to %.4f s "
      "(forward and backward %.4f, reduction %.4f, update %.4f); peak memory %.0f MB\n",
      times.samples_per_second, trainer::human_flops_rate(times.model_flops_per_second).c_str(),
      100 * times.model_flops_per_second / times.peak_flops_per_second,
      trainer::human_flops_rate(times.peak_flops_per_second).c_str(), *fastest, *slowest, times.compute_seconds,
      times.reduce_seconds, times.update_seconds, times.peak_memory_bytes / 1e6);
}

/// Ratios that the project promises: ours over what the same bytes take in the plainest way.
nlohmann::ordered_json ratios_of(const trainer::CheckpointTimes& times) {
  namespace timed = trainer::timed;
  nlohmann::ordered_json ratios;
  if (times.has(timed::kCopy)) ratios["blocked_over_copy"] = times.median(timed::kBlocked) / times.median(timed::kCopy);
  const double buffered = times.median(timed::kWriteBuffered);
  const double fastest =
      times.has(timed::kWriteDirect) ? std::min(buffered, times.median(timed::kWriteDirect)) : buffered;
  ratios["committed_over_fastest_write"] = times.median(timed::kCommitted) / fastest;
  ratios["verified_rate_over_read_cold"] = times.median(timed::kReadCold) / times.median(timed::kLoadCold);
  if (times.has(timed::kReadDirect)) {
    ratios["verified_rate_over_o_direct"] = times.median(timed::kReadDirect) / times.median(timed::kLoadCold);
  }
  ratios["verified_rate_over_read_warm"] = times.median(timed::kReadWarm) / times.median(timed::kLoadWarm);
  ratios["step_beside_plain_over_alone"] = times.median(timed::kStepBesidePlain) / times.median(timed::kStep);
  ratios["step_beside_over_alone"] = times.median(timed::kStepBeside) / times.median(timed::kStep);
  return ratios;
}

void print(const trainer::CheckpointTimes& times, bool json) {
  if (json) {
    const nlohmann::ordered_json result = {{"bytes_per_rank", times.bytes_per_rank},
                                           {"ranks", times.ranks},
                                           {"threads", times.threads},
                                           {"seconds", times.seconds},
                                           {"ratios", ratios_of(times)}};
    std::printf("%s\n", result.dump().c_str());
    return;
  }
  std::printf("%lld bytes a rank, %lld ranks, %lld threads; median, fastest and slowest round\n",
              static_cast<long long>(times.bytes_per_rank), static_cast<long long>(times.ranks),
              static_cast<long long>(times.threads));
  for (const auto& [what, seconds] : times.seconds) {
    const auto [fastest, slowest] = std::minmax_element(seconds.begin(), seconds.end());
    const bool moves_all = what.rfind("step", 0) != 0;
    std::printf("%-26s %7.3f s (%.3f to %.3f)", what.c_str(), times.median(what), *fastest, *slowest);
    if (moves_all) std::printf("  %6.2f GB/s", static_cast<double>(times.bytes_per_rank) / times.median(what) / 1e9);
    std::printf("\n");
  }
  const auto ratios = ratios_of(times);
  for (const auto& [what, ratio] : ratios.items()) std::printf("%-30s %.2f\n", what.c_str(), ratio.get<double>());
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values.empty() ? 0 : values[values.size() / 2];
}

void print(const apps::LoaderRates& rates, bool json) {
  const double loader = median(rates.loader), bound = median(rates.bound), library = median(rates.library);
  if (json) {
    const nlohmann::ordered_json result = {{"description", rates.how},
                                           {"image_bytes", rates.image_bytes},
                                           {"lanes", rates.lanes},
                                           {"loader", rates.loader},
                                           {"bound", rates.bound},
                                           {"library", rates.library},
                                           {"share_of_bound", bound > 0 ? loader / bound : 0},
                                           {"over_library", loader / library}};
    std::printf("%s\n", result.dump().c_str());
    return;
  }
  std::printf("%s\nimages/s, median of %zu rounds: loader %.0f (%.2f GB/s of pixels)", rates.how.c_str(),
              rates.loader.size(), loader, loader * static_cast<double>(rates.image_bytes) / 1e9);
  if (rates.lanes > 0) std::printf(" in %lld lanes", static_cast<long long>(rates.lanes));
  if (bound > 0) std::printf(", plain loop %.0f: %.0f %%", bound, 100 * loader / bound);
  std::printf(", random H5Dread on one thread %.0f: %.1f times\n", library, loader / library);
}

void print(const apps::SampleRates& rates, bool json) {
  const double rate = median(rates.images_per_second), bound = median(rates.bound());
  const double tick = median(rates.tick_seconds), network = median(rates.network_seconds);
  if (json) {
    nlohmann::ordered_json curve = nlohmann::ordered_json::array();
    for (const auto& point : rates.curve) {
      curve.push_back({{"slots", point.slots}, {"evaluations_per_second", point.rows_per_second}});
    }
    const nlohmann::ordered_json result = {{"device", rates.device},
                                           {"slots", rates.slots},
                                           {"threads", rates.threads},
                                           {"count", rates.count},
                                           {"images_per_second", rates.images_per_second},
                                           {"bound", rates.bound()},
                                           {"share_of_bound", rate / bound},
                                           {"mean_nfe", rates.mean_nfe},
                                           {"max_nfe", rates.max_nfe},
                                           {"rejected_steps", rates.rejected_steps},
                                           {"occupancy", rates.occupancy},
                                           {"ideal_occupancy", rates.ideal_occupancy},
                                           {"queued_occupancy", rates.queued_occupancy},
                                           {"tick_seconds", rates.tick_seconds},
                                           {"network_seconds", rates.network_seconds},
                                           {"outside_network", 1 - network / tick},
                                           {"batch_curve", curve}};
    std::printf("%s\n", result.dump().c_str());
    return;
  }
  std::printf(
      "%.4g images/s, median of %zu rounds: %.1f %% of the %.4g of a network with %lld full rows; %.4g evaluations "
      "each, at most %lld\noccupancy %.3f (ideal list scheduling %.3f, while ids were left %.3f); a pass takes "
      "%.3g ms, %.1f %% of it outside the network\n",
      rate, rates.images_per_second.size(), 100 * rate / bound, bound, static_cast<long long>(rates.slots),
      rates.mean_nfe, static_cast<long long>(rates.max_nfe), rates.occupancy, rates.ideal_occupancy,
      rates.queued_occupancy, 1e3 * tick, 100 * (1 - network / tick));
  for (const auto& point : rates.curve) {
    std::printf("%5lld slots  %.4g evaluations/s\n", static_cast<long long>(point.slots), point.rows_per_second);
  }
}

}  // namespace

int main(int argc, char** argv) {
  apps::keep_large_blocks_mapped();
  CLI::App app{
      "Measures Pathline on this machine.\nexample: pathline bench step recipes/cifar10/cfm-linear.toml --set "
      "model.input_size=32 "
      "--set model.input_channels=3"};
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
  CLI::App* checkpoint =
      app.add_subcommand("checkpoint", "saving and loading, beside plain copies, writes and reads of the same bytes");
  trainer::CheckpointBenchmark saving;
  checkpoint->add_option("recipe", saving.request.recipe,
                         "TOML file; without it a network with as much state as --bytes");
  checkpoint->add_option("--set", saving.request.sets, "as for step")->take_all()->expected(1);
  checkpoint->add_option("--bytes", saving.bytes, "of state, without a recipe")
      ->transform(CLI::AsSizeValue(true))
      ->check(CLI::PositiveNumber);
  checkpoint->add_option("--directory", saving.directory, "on the storage that is to be measured");
  checkpoint->add_option("--rounds", saving.rounds, "everything once in each")->check(CLI::PositiveNumber);
  checkpoint->add_option("--steps", saving.steps, "training steps alone and beside writing, in each round")
      ->check(CLI::PositiveNumber);
  checkpoint->add_flag("--json", json, "one JSON object");
  CLI::App* loader =
      app.add_subcommand("loader", "images a second from one HDF5 file, beside a plain loop that does the least");
  apps::LoaderBenchmark reading;
  loader->add_option("file", reading.path, "HDF5 file of images")->required();
  loader->add_option("--threads", reading.threads, "of the loader, and of the plain loop")->check(CLI::PositiveNumber);
  loader->add_option("--batch", reading.batch, "images a batch, a multiple of 16")->check(CLI::PositiveNumber);
  loader->add_option("--rounds", reading.rounds, "everything once in each")->check(CLI::PositiveNumber);
  loader->add_option("--seconds", reading.seconds, "of each measurement")->check(CLI::PositiveNumber);
  loader->add_flag("--bytes", reading.bytes, "batches of bytes, as a GPU is given them; the plain loop only reads");
  loader->add_option("--decoded-mb", reading.decoded_mb, "as data.decoded_mb: of decoded chunks of several images")
      ->check(CLI::PositiveNumber);
  loader->add_flag("--cold", reading.cold, "drop the file from the page cache before each measurement");
  loader->add_flag("--json", json, "one JSON object");
  CLI::App* sample = app.add_subcommand(
      "sample", "samples a second on one rank, beside the network alone; takes the options of `pathline sample`");
  apps::SampleOptions sampling;
  sampling.count = 256;
  sampling.output = "samples.h5";  // its format; nothing is written
  int rounds = 3;
  apps::add_sample_options(*sample, sampling);
  sample->add_option("--rounds", rounds, "everything once in each")->check(CLI::PositiveNumber);
  return apps::run_cli(app, argc, argv, [&] {
    if (loader->parsed()) {
      print(apps::benchmark_loader(reading), json);
      return 0;
    }
    return cluster::run_with_ranks([&](cluster::Communicator& world) {
      if (checkpoint->parsed()) {
        const auto times = trainer::benchmark_checkpoint(saving, world);
        if (world.rank() == 0) print(times, json);
        return 0;
      }
      if (sample->parsed()) {
        print(apps::benchmark_sample(sampling, rounds, world), sampling.json);
        return 0;
      }
      const auto times = trainer::benchmark_step(request, warmup, steps, world);
      if (world.rank() == 0) print(times, json);
      return 0;
    });
  });
}
