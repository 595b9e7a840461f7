// SPDX-License-Identifier: Apache-2.0
// `pathline evaluate`: how far one set is from another.
#include <ATen/Parallel.h>
#include <ATen/ops/cat.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "apps/allocator.h"
#include "apps/cli.h"
#include "apps/evaluate/commands.h"
#include "core/error.h"
#include "core/file_system.h"
#include "core/log.h"
#include "core/progress.h"
#include "launch/signals.h"
#include "sampler/energy_distance.h"
#include "sampler/features.h"
#include "sampler/moments.h"
#include "sampler/precision_recall.h"
#include "sampler/set_rows.h"

namespace pathline::apps {
namespace {

using core::ExitCode;

struct Options {
  std::string first, second, features, output;
  std::int64_t count = 0, batch = 64, threads = 0;
  sampler::EnergyDraws draws;
  bool precision_recall = false, json = false;
};

std::int64_t used(const Options& options, const sampler::SetRows& rows, const std::string& path) {
  PL_CHECK(options.count <= rows.count, ExitCode::kUsage, "--count is ", options.count, ", but ", path, " holds ",
           rows.count, " samples. Ask for fewer.");
  return options.count > 0 ? options.count : rows.count;
}

/// take(features (n, D)) for all samples of a set, in order.
template <class Take>
void for_features(const Options& options, const std::string& path, const Take& take) {
  core::PosixFileSystem files;
  const sampler::Features features(options.features);
  const sampler::SetRows rows = sampler::open_rows(files, path);
  const std::int64_t count = used(options, rows, path);
  core::log_info(rows.description);
  core::Progress progress("features", count, "samples");
  for (std::int64_t first = 0; first < count; first += options.batch) {
    const std::int64_t n = std::min(options.batch, count - first);
    take(features.of(rows.read(first, n)));
    progress.update(first + n);
  }
}

sampler::Moments moments_of(const Options& options, const std::string& path) {
  core::PosixFileSystem files;
  if (sampler::Moments::holds(files, path)) return sampler::Moments::load(files, path);
  sampler::MomentsInOrder moments;
  for_features(options, path, [&](const at::Tensor& features) { moments.add(features); });
  return moments.total();
}

/// With the features themselves (N, D) fp32, where they are needed.
struct Measured {
  sampler::Moments moments;
  at::Tensor features;
};

Measured measured(const Options& options, const std::string& path) {
  if (!options.precision_recall) return {moments_of(options, path), {}};
  core::PosixFileSystem files;
  PL_CHECK(!sampler::Moments::holds(files, path), ExitCode::kUsage, path,
           " holds moments alone, and --precision-recall needs every sample's features. Give the set itself.");
  sampler::MomentsInOrder moments;
  std::vector<at::Tensor> batches;
  for_features(options, path, [&](const at::Tensor& features) {
    moments.add(features);
    batches.push_back(features.to(at::kFloat));
  });
  return {moments.total(), at::cat(batches)};
}

std::string count_text(std::int64_t count) { return count > 0 ? std::to_string(count) : "an unknown number of"; }

int moments(const Options& options) {
  const sampler::Moments made = moments_of(options, options.first);
  core::PosixFileSystem files;
  made.save(files, options.output);
  if (options.json) {
    const nlohmann::ordered_json result = {
        {"count", made.count()}, {"features", made.mean().numel()}, {"output", options.output}};
    std::printf("%s\n", result.dump().c_str());
  } else {
    std::printf("%s: mean and covariance of %lld features of %s samples\n", options.output.c_str(),
                static_cast<long long>(made.mean().numel()), count_text(made.count()).c_str());
  }
  return 0;
}

int fid(const Options& options) {
  const Measured set = measured(options, options.first), reference = measured(options, options.second);
  const sampler::Moments &first = set.moments, &second = reference.moments;
  const double distance = sampler::frechet_distance(first, second);
  std::optional<sampler::PrecisionRecall> shares;
  if (options.precision_recall) shares = sampler::precision_recall(set.features, reference.features);
  if (options.json) {
    nlohmann::ordered_json result = {{"frechet_distance", distance},
                                     {"count", first.count()},
                                     {"reference_count", second.count()},
                                     {"features", first.mean().numel()}};
    if (shares) result.update({{"precision", shares->precision}, {"recall", shares->recall}});
    std::printf("%s\n", result.dump().c_str());
    return 0;
  }
  std::printf(
      "Frechet distance %.6g over %lld features: %s samples against %s (it falls with the number of samples: "
      "compare equal numbers)\n",
      distance, static_cast<long long>(first.mean().numel()), count_text(first.count()).c_str(),
      count_text(second.count()).c_str());
  if (shares) std::printf("precision %.4f, recall %.4f\n", shares->precision, shares->recall);
  return 0;
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

int energy(const Options& options) {
  core::PosixFileSystem files;
  const auto points_of = [&](const std::string& path) {
    const sampler::SetRows rows = sampler::open_rows(files, path);
    PL_CHECK(rows.points, ExitCode::kUsage, path,
             " holds pictures; the energy distance is taken between points. Use fid.");
    return rows.read(0, used(options, rows, path));
  };
  const sampler::DrawnEnergy drawn =
      sampler::drawn_energy(points_of(options.first), points_of(options.second), options.draws);
  const double distance = mean_of(drawn.distance), floor = mean_of(drawn.floor);
  if (options.json) {
    const nlohmann::ordered_json result = {{"squared_energy_distance", distance},
                                           {"reference_against_itself", floor},
                                           {"draws", drawn.distance},
                                           {"points", options.draws.points}};
    std::printf("%s\n", result.dump().c_str());
  } else {
    std::printf(
        "squared energy distance %.6g, the reference against itself %.6g: mean of %lld draws of %lld points against "
        "%lld\n",
        distance, floor, static_cast<long long>(options.draws.draws), static_cast<long long>(options.draws.points),
        static_cast<long long>(options.draws.points));
  }
  return 0;
}

/// A sub-command that runs `body`.
CLI::App* add_command(CLI::App& app, Options& options, Run& run, const char* name, const char* help,
                      int (*body)(const Options&)) {
  CLI::App* sub = app.add_subcommand(name, help);
  sub->add_option("--count", options.count, "only the first so many of each set (default: all)");
  sub->add_option("--threads", options.threads, "default: all cores");
  sub->add_flag("--json", options.json, "print the result as JSON");
  sub->callback([&options, &run, body] {
    run = [&options, body] {
      PL_CHECK(options.count >= 0 && options.batch > 0 && options.threads >= 0, ExitCode::kUsage,
               "--count, --batch and --threads must be positive.");
      at::set_num_threads(options.threads > 0 ? static_cast<int>(options.threads)
                                              : static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
      return body(options);
    };
  });
  return sub;
}

void add_features(CLI::App* sub, Options& options) {
  sub->add_option("--features", options.features,
                  "TorchScript network from pixels to features, or a run with a classifier, whose last features are "
                  "taken (default: the pixels themselves)");
  sub->add_option("--batch", options.batch, "images in the network at once")->capture_default_str();
}

int program(int argc, const char* const* argv) {
  CLI::App app{
      "How far one set is from another, and how good a model is.\n"
      "Example: pathline evaluate fid samples.npz data.h5 --features inception.ts",
      "pathline evaluate"};
  Options options;
  Run run;
  constexpr const char* kSet = ".h5, .npz, .tar or a folder of pictures";
  CLI::App* sub =
      add_command(app, options, run, "moments", "mean and covariance of a set's features, for later", moments);
  sub->add_option("set", options.first, kSet)->required();
  sub->add_option("-o,--output", options.output, ".npz with mu, sigma and n")->required();
  add_features(sub, options);
  sub = add_command(app, options, run, "fid", "Frechet distance between Gaussians fitted to features", fid);
  sub->add_option("set", options.first, "a set or its saved moments")->required();
  sub->add_option("reference", options.second, "likewise")->required();
  add_features(sub, options);
  sub->add_flag("--precision-recall", options.precision_recall,
                "which share of the set lies among the reference, and which of the reference the set reaches, by the "
                "third nearest neighbours of the same features");
  sub = add_command(app, options, run, "energy", "squared energy distance between sets of points", energy);
  sub->add_option("set", options.first, "points: .h5 or .npz")->required();
  sub->add_option("reference", options.second, "likewise, at least twice --points of them")->required();
  sub->add_option("--draws", options.draws.draws, "the distance is their mean")->capture_default_str();
  sub->add_option("--points", options.draws.points, "of the set, and of the reference, in a draw")
      ->capture_default_str();
  sub->add_option("--seed", options.draws.seed, "key of the draws")->capture_default_str();
  add_straightness(app, run);
  add_held_out_loss(app, run);
  add_classifier(app, run);
  app.require_subcommand(1);
  return run_cli(app, argc, argv, [&] { return run(); });
}

}  // namespace
}  // namespace pathline::apps

int main(int argc, char** argv) {
  pathline::launch::unblock_job_signals();
  pathline::apps::keep_large_blocks_mapped();
  return pathline::apps::program(argc, argv);
}
