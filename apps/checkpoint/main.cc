// SPDX-License-Identifier: Apache-2.0
// `pathline checkpoint list|verify|show|export|import`.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <string>

#include "apps/checkpoint/reports.h"
#include "apps/checkpoint/weights_file.h"
#include "apps/cli.h"
#include "checkpoint/checkpoint.h"
#include "core/error.h"
#include "core/file_system.h"

namespace {

using namespace pathline;

struct Options {
  std::string path, output, ema, recipe, from;
  bool json = false;
};

constexpr char kPathHelp[] = "run directory, its checkpoints/ or one step-N";

int verify(core::FileSystem& files, const std::string& path) {
  bool good = true;
  for (const auto& one : apps::checkpoints_at(files, path)) {
    const auto problems = apps::problems_of(files, one);
    good = good && problems.empty();
    std::cout << one.directory << (problems.empty() ? ": good\n" : ": damaged\n");
    for (const auto& problem : problems) std::cout << "  " << problem << "\n";
  }
  return static_cast<int>(good ? core::ExitCode::kFinished : core::ExitCode::kInput);
}

int export_to(core::FileSystem& files, const Options& options) {
  const checkpoint::Reader reader(files, checkpoint::resolve(files, options.path));
  const std::string kind = apps::kind_of_ema(reader, options.ema);
  apps::export_weights(files, reader, kind, options.output);
  std::cerr << options.output << ": " << kind << " of " << reader.directory() << "\n";
  return 0;
}

int import_from(core::FileSystem& files, const Options& options) {
  const std::string recipe = apps::import_weights(files, options.path, options.recipe, options.from, options.output);
  std::cout << "pathline train " << recipe << "\n";
  return 0;
}

void add_commands(CLI::App& app, core::FileSystem& files, Options& o, apps::Run& run) {
  auto* list = app.add_subcommand("list", "the checkpoints of a run, oldest first");
  list->add_option("path", o.path, kPathHelp)->required();
  list->add_flag("--json", o.json, "as JSON");
  list->callback([&] {
    run = [&] {
      const auto all = apps::checkpoints_at(files, o.path);
      const auto by = apps::best_by(files, all);
      std::cout << (o.json ? apps::list_json(all, by) : apps::list_table(all, by));
      return 0;
    };
  });

  auto* check = app.add_subcommand("verify", "read every byte; a line for each damaged piece and exit code 3");
  check->add_option("path", o.path, kPathHelp)->required();
  check->callback([&] { run = [&] { return verify(files, o.path); }; });

  auto* show = app.add_subcommand("show", "what a checkpoint says about its run, recipe included");
  show->add_option("path", o.path, kPathHelp)->required();
  show->add_flag("--json", o.json, "as JSON");
  show->callback([&] {
    run = [&] {
      const checkpoint::Reader reader(files, checkpoint::resolve(files, o.path));
      std::cout << (o.json ? apps::state_json(reader) : apps::state_text(reader));
      return 0;
    };
  });

  auto* out = app.add_subcommand("export", "the weights as one safetensors file that other tools load");
  out->add_option("path", o.path, kPathHelp)->required();
  out->add_option("--ema", o.ema, "decay of the EMA, or none for the weights themselves (default: the first EMA)");
  out->add_option("-o,--output", o.output, "file to write")->required();
  out->callback([&] { run = [&] { return export_to(files, o); }; });

  auto* in =
      app.add_subcommand("import", "prepare a run that starts from such a file; prints the command that starts it");
  in->add_option("weights", o.path, "safetensors file")->required();
  in->add_option("--recipe", o.recipe, "recipe of the model that the weights belong to")->required();
  in->add_option("--from", o.from,
                 "code that trained them: sit, dit, repa, sd3, torchcfm, adm or lightningdit (sets model.time_input)");
  in->add_option("-o,--output", o.output, "run directory to make")->required();
  in->callback([&] { run = [&] { return import_from(files, o); }; });
  app.require_subcommand(1);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Looks at checkpoints, and turns them into weights files and back.\n"
      "example: pathline checkpoint export runs/quickstart --ema 0.98 -o weights.safetensors",
      "pathline checkpoint"};
  core::PosixFileSystem files;
  Options options;
  apps::Run run;
  add_commands(app, files, options, run);
  return apps::run_cli(app, argc, argv, [&] { return run(); });
}
