// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
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
  std::vector<std::string> inputs;
  std::string output;
  StorageOptions storage;
  bool by_class = false;
  std::optional<std::uint64_t> shuffle;
  int threads = 1;
};

int repack(const Options& options) {
  const data::hdf5::Chunking chunking = options.storage.chunking();
  const data::WholeStore store(options.inputs);
  const data::SetInfo& info = store.source().info();
  PL_CHECK(!options.by_class || info.classes > 0, core::ExitCode::kUsage,
           "--sort-by-class was given, but the set has no labels (", info.description, "). Leave it out.");
  const auto order = data::repacked_order(store.source(), options.by_class, options.shuffle);
  core::Progress progress("repack", info.count, "items");
  const auto digest =
      store.write(order, options.output, chunking, options.threads, [&](std::int64_t done) { progress.update(done); });
  progress.finish();
  std::cout << options.output << ": " << info.count << " items\ndigest " << digest << "\n";
  return 0;
}

}  // namespace

void add_repack(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("repack", "Write an image store again: joined, chunked, compressed, reordered.");
  auto options = std::make_shared<Options>();
  options->threads = all_threads();
  command->add_option("inputs", options->inputs, "An image store; its parts; or a pattern")->required();
  command->add_option("-o,--output", options->output, "The image store to write, FILE.h5")->required();
  options->storage.add_to(*command);
  command->add_option("--shuffle", options->shuffle, "Put the items into the order of this seed");
  command->add_flag("--sort-by-class", options->by_class, "Class by class (within one, the order there is)");
  command->add_option("--threads", options->threads, "Threads that read and compress")->check(CLI::Range(1, 1024));
  command->footer("Example:\n  pathline data repack photos-*.h5 -o photos.h5 --chunk 16 --compress gzip:4");
  command->callback([&run, options] { run = [options] { return repack(*options); }; });
}

}  // namespace pathline::apps
