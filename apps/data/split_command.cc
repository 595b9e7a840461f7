// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <cmath>
#include <iostream>
#include <memory>
#include <optional>

#include "apps/data/commands.h"
#include "apps/data/storage_options.h"
#include "core/error.h"
#include "core/progress.h"
#include "data/repack.h"
#include "data/store_columns.h"

namespace pathline::apps {
namespace {

struct Options {
  std::string input;
  std::vector<std::string> outputs;
  StorageOptions storage;
  std::optional<double> share;
  std::optional<std::int64_t> count;
  bool unstratified = false;
  std::uint64_t seed = 0;
  int threads = 1;
};

std::int64_t held_out(const Options& options, std::int64_t count) {
  PL_CHECK(options.share.has_value() != options.count.has_value(), core::ExitCode::kUsage,
           "how many items the second file gets is said by --share (0.1 of all) or by --count. Give one of them.");
  const std::int64_t items = options.count ? *options.count : std::llround(*options.share * static_cast<double>(count));
  PL_CHECK(items > 0 && items < count, core::ExitCode::kUsage, "the second file would get ", items, " of ", count,
           " items (each gets at least one). Give another --share or --count.");
  return items;
}

int split(const Options& options) {
  const data::hdf5::Chunking chunking = options.storage.chunking();
  PL_CHECK(options.outputs[0] != options.outputs[1], core::ExitCode::kUsage, "both parts would be written to ",
           options.outputs[0], ". Give two names.");
  const data::WholeStore store({options.input});
  const std::int64_t count = store.source().info().count;
  const data::Split parts =
      data::split(store.source(), {held_out(options, count), !options.unstratified, options.seed});
  core::Progress progress("split", count, "items");
  std::int64_t before = 0;
  for (const auto* items : {&parts.training, &parts.held_out}) {
    const std::string& path = options.outputs[before == 0 ? 0 : 1];
    const auto digest = store.write(*items, path, chunking, options.threads,
                                    [&](std::int64_t done) { progress.update(before + done); });
    before += static_cast<std::int64_t>(items->size());
    std::cout << path << ": " << items->size() << " items, digest " << digest << "\n";
  }
  progress.finish();
  return 0;
}

}  // namespace

void add_split(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("split", "Divide an image store in two, such as for training and validation.");
  auto options = std::make_shared<Options>();
  options->threads = all_threads();
  command->add_option("input", options->input, "An image store, or a pattern of its parts")->required();
  command->add_option("-o,--output", options->outputs, "The two image stores to write: TRAINING.h5 VALIDATION.h5")
      ->required()
      ->expected(2);
  command->add_option("--share", options->share, "Share of the items that the second one gets, such as 0.1");
  command->add_option("--count", options->count, "How many items the second one gets");
  command->add_flag("--unstratified", options->unstratified, "Choose from all items, not the same share of each class");
  command->add_option("--seed", options->seed, "Equal seeds choose equal items")->capture_default_str();
  options->storage.add_to(*command);
  command->add_option("--threads", options->threads, "Threads that read and compress")->check(CLI::Range(1, 1024));
  command->footer("Example:\n  pathline data split shapes.h5 -o training.h5 validation.h5 --share 0.1");
  command->callback([&run, options] { run = [options] { return split(*options); }; });
}

}  // namespace pathline::apps
