// SPDX-License-Identifier: Apache-2.0
// `pathline likelihood`: bits per dimension (images) or nats (points) of a data set under a checkpointed flow.
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <thread>

#include "apps/allocator.h"
#include "apps/cli.h"
#include "core/choice.h"
#include "core/error.h"
#include "core/log.h"
#include "core/progress.h"
#include "data/shard_source.h"
#include "sampler/checkpointed_model.h"
#include "sampler/likelihood.h"
#include "sampler/solver.h"

namespace pathline::apps {
namespace {

using core::ExitCode;

struct Options {
  std::string checkpoint, ema, labels = "data", dequantize = "uniform";
  std::vector<std::string> data;
  std::int64_t first = 0, count = 0, threads = 0;
  sampler::LikelihoodOptions likelihood;
  bool json = false;
};

/// Sums over the data.
struct Total {
  std::int64_t count = 0, failed = 0, nfe = 0;
  double sum = 0, squares = 0;  // of log p
  double probe_variance = 0;    // of the sum, as the probes show it

  void add(const sampler::LogDensity& density) {
    nfe += density.nfe;
    failed += sampler::failed(density.outcome);
    if (sampler::failed(density.outcome)) return;
    ++count;
    sum += density.log_p;
    squares += density.log_p * density.log_p;
    probe_variance += density.error * density.error;
  }

  double mean() const { return sum / static_cast<double>(count); }
  /// Of the mean: scatter of the data and of their estimates together.
  double error() const {
    const double n = static_cast<double>(count);
    return std::sqrt(std::max(0.0, squares / n - mean() * mean()) / std::max(1.0, n - 1));
  }
  double probe_error() const { return std::sqrt(probe_variance) / static_cast<double>(count); }
};

void check_fits(const data::SetInfo& info, const sampler::CheckpointedModel& loaded) {
  const std::vector<std::int64_t> shape = sampler::sample_shape_of(loaded.model->options());
  const bool fits = info.kind == data::ItemKind::kPoint ? shape == std::vector{info.channels}
                                                        : shape == std::vector{info.channels, info.height, info.width};
  PL_CHECK(fits, ExitCode::kInput, "the model of ", loaded.directory, " was made for items of shape ",
           c10::IntArrayRef(shape), ", and the data are ", info.description, ". Use data as the model was trained on.");
}

/// Item `i` as the model sees it: (C, H, W) in about [-1, 1], or (D).
at::Tensor item(const data::ShardSource& source, std::int64_t i, const Options& options) {
  const data::SetInfo& info = source.info();
  if (info.kind == data::ItemKind::kPoint) {
    at::Tensor point = at::empty({info.channels}, at::kFloat);
    source.read(i, std::as_writable_bytes(std::span(point.mutable_data_ptr<float>(), info.item_values())));
    return point;
  }
  at::Tensor pixels = at::empty({info.height, info.width, info.channels}, at::kByte);
  source.read(i, std::as_writable_bytes(std::span(pixels.mutable_data_ptr<std::uint8_t>(), info.item_values())));
  const bool uniform = options.dequantize == "uniform";
  return sampler::dequantized(pixels, options.likelihood.seed, i, uniform).permute({2, 0, 1}).contiguous();
}

void print(const Options& options, const Total& total, const data::SetInfo& info) {
  const bool images = info.kind == data::ItemKind::kImage;
  const auto dimensions = static_cast<std::int64_t>(info.item_values());
  const double per_nat = images ? 1 / (static_cast<double>(dimensions) * std::log(2.0)) : 1;
  const double value = images ? sampler::bits_per_dimension(total.mean(), dimensions) : -total.mean();
  const double nfe = static_cast<double>(total.nfe) / static_cast<double>(total.count + total.failed);
  const char* unit = images ? "bits_per_dimension" : "nats";
  if (options.json) {
    const nlohmann::ordered_json result = {{unit, value},
                                           {"standard_error", total.error() * per_nat},
                                           {"probe_standard_error", total.probe_error() * per_nat},
                                           {"mean_log_p", total.mean()},
                                           {"count", total.count},
                                           {"failed", total.failed},
                                           {"mean_nfe", nfe}};
    std::printf("%s\n", result.dump().c_str());
    return;
  }
  std::printf(
      "%.5f %s, standard error %.5f (of which %.5f by the probes); %lld items, %lld failed, %.1f evaluations "
      "each\n",
      value, images ? "bits per dimension" : "nats", total.error() * per_nat, total.probe_error() * per_nat,
      static_cast<long long>(total.count), static_cast<long long>(total.failed), nfe);
  if (!images) return;
  std::printf("x = (k + u - 1/2) / 127.5 - 1; bits = -log2 p / %lld + log2 127.5\n",
              static_cast<long long>(dimensions));
}

int likelihood(const Options& options) {
  core::check_choice("--labels", options.labels, {"data", "null"});
  core::check_choice("--dequantize", options.dequantize, {"uniform", "none"});
  if (options.dequantize == "none") {
    core::log_warning("without dequantisation a density of 8-bit data has no bound: the figure compares with nothing");
  }
  at::set_num_threads(static_cast<int>(options.threads > 0 ? options.threads : std::thread::hardware_concurrency()));
  core::PosixFileSystem files;
  const sampler::CheckpointedModel loaded = sampler::load_checkpointed_model(files, options.checkpoint, options.ema);
  const auto source = data::open_source(options.data);
  check_fits(source->info(), loaded);
  const std::int64_t null_label = sampler::null_label_of(loaded.model->options());
  const std::int64_t last =
      options.count > 0 ? std::min(source->info().count, options.first + options.count) : source->info().count;
  PL_CHECK(0 <= options.first && options.first < last, ExitCode::kUsage, "--first is ", options.first,
           ", and the set has ", source->info().count, " items.");

  core::Progress progress("likelihood", last - options.first, "items");
  std::int64_t i = options.first;
  const auto next = [&]() -> std::optional<sampler::Datum> {
    if (i >= last) return std::nullopt;
    const std::int64_t label = options.labels == "data" ? source->label(i) : -1;
    sampler::Datum datum{i, label < 0 ? std::max<std::int64_t>(null_label, 0) : label, item(*source, i, options)};
    ++i;
    return datum;
  };
  Total total;
  sampler::log_densities(sampler::field_of(*loaded.model), options.likelihood,
                         sampler::sample_shape_of(loaded.model->options()), null_label >= 0, next,
                         [&](const sampler::LogDensity& density) {
                           total.add(density);
                           progress.update(total.count + total.failed);
                         });
  progress.finish();
  PL_CHECK(total.count > 0, ExitCode::kNumerical, "all ", total.failed,
           " solves failed (not finite, steps too short or too many). Loosen --rtol and --atol.");
  if (total.failed > 0) core::log_warning(total.failed, " items failed and are left out");
  print(options, total, source->info());
  return 0;
}

int program(int argc, const char* const* argv) {
  CLI::App app{
      "Bits per dimension of a data set under a trained flow.\n"
      "Example: pathline likelihood --checkpoint runs/cifar10 --data cifar10-test.h5 --count 512",
      "pathline likelihood"};
  Options options;
  sampler::LikelihoodOptions& how = options.likelihood;
  app.add_option("--checkpoint", options.checkpoint, "run directory, its checkpoints/ or one step-N/")->required();
  app.add_option("--data", options.data, "image store, several, or a pattern")->required();
  app.add_option("--first", options.first, "first item")->capture_default_str();
  app.add_option("--count", options.count, "how many (default: all)");
  app.add_option("--labels", options.labels, "data: each item's own; null: none")->capture_default_str();
  app.add_flag("--exact", how.exact, "the divergence itself: a derivative for every dimension, for few dimensions");
  app.add_option("--probes", how.probes, "random vectors of Hutchinson's estimate, a solve each")
      ->capture_default_str();
  app.add_option("--dequantize", options.dequantize, "uniform or none")->capture_default_str();
  app.add_option("--solver", how.solver.solver, "a Runge-Kutta method of `pathline sample`")->capture_default_str();
  app.add_option("--steps", how.solver.steps, "of a solver with given steps")->capture_default_str();
  app.add_option("--rtol", how.solver.rtol, "of a solver that chooses steps")->capture_default_str();
  app.add_option("--atol", how.solver.atol, "likewise")->capture_default_str();
  app.add_option("--seed", how.seed, "of probes and dequantisation")->capture_default_str();
  app.add_option("--slots", how.slots, "solves in the network at once")->capture_default_str();
  app.add_option("--ema", options.ema, "decay of the averaged weights, or none (default: the recipe's first)");
  app.add_option("--threads", options.threads, "default: all cores");
  app.add_flag("--json", options.json, "print the result as JSON");
  return run_cli(app, argc, argv, [&] { return likelihood(options); });
}

}  // namespace
}  // namespace pathline::apps

int main(int argc, char** argv) {
  pathline::apps::keep_large_blocks_mapped();
  return pathline::apps::program(argc, argv);
}
