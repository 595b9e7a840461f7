// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "apps/data/commands.h"
#include "core/progress.h"
#include "core/text.h"
#include "data/import.h"
#include "data/made.h"

namespace pathline::apps {
namespace {

struct Options {
  std::string name, output;
  data::MadeOptions made;
};

int make(const Options& options) {
  const auto source = data::make_source(options.name, options.made);
  const auto& info = source->info();
  const bool images = info.kind == data::ItemKind::kImage;
  core::Progress progress("make", info.count, images ? "images" : "points");
  const auto digest =
      data::store(*source, options.output, all_threads(), [&](std::int64_t done) { progress.update(done); });
  progress.finish();
  std::cout << options.output << ": " << info.count << (images ? " images of " : " points of ");
  if (images) std::cout << info.height << " x " << info.width << " x ";
  std::cout << info.channels << (images ? "" : " numbers");
  if (info.classes > 0) std::cout << ", " << info.classes << " classes";
  std::cout << "\ndigest " << digest << "\n";
  return 0;
}

}  // namespace

void add_make(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("make", "Make a data set from a seed.");
  auto options = std::make_shared<Options>();
  command->add_option("name", options->name, core::listed(data::made_names()))->required();
  command->add_option("-o,--output", options->output, "The image store to write, FILE.h5")->required();
  command->add_option("--count", options->made.count, "How many items")->capture_default_str();
  command->add_option("--size", options->made.size, "Pixels a side, of shapes")->capture_default_str();
  command->add_option("--seed", options->made.seed, "Equal seeds give equal data")->capture_default_str();
  command->footer("Example:\n  pathline data make shapes -o shapes.h5 --count 20000");
  command->callback([&run, options] { run = [options] { return make(*options); }; });
}

}  // namespace pathline::apps
