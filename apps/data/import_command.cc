// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/data/commands.h"
#include "core/error.h"
#include "core/log.h"
#include "core/progress.h"
#include "data/import.h"

namespace pathline::apps {
namespace {

struct Options {
  std::string source, output, under, filter = "bicubic";
  data::ImportOptions import;
  bool grey = false, rgb = false, json = false;
};

const std::map<std::string, data::Filter> kFilters = {{"box", data::Filter::kBox},
                                                      {"bilinear", data::Filter::kBilinear},
                                                      {"bicubic", data::Filter::kBicubic},
                                                      {"lanczos", data::Filter::kLanczos}};

void print(const Options& options, const data::PictureSource& source, const data::Imported& done) {
  if (options.json) {
    std::cout << nlohmann::json{{"file", options.output},  {"count", done.count},       {"height", done.height},
                                {"width", done.width},     {"channels", done.channels}, {"classes", source.classes()},
                                {"skipped", done.skipped}, {"digest", done.digest}}
                     .dump(2)
              << "\n";
    return;
  }
  std::cout << options.output << ": " << done.count << " images of " << done.height << " x " << done.width << " x "
            << done.channels;
  if (source.classes() > 0) std::cout << ", " << source.classes() << " classes";
  if (!done.skipped.empty()) std::cout << "; " << done.skipped.size() << " unreadable pictures left out";
  std::cout << "\ndigest " << done.digest << "\n";
}

int import(const Options& options) {
  core::PosixFileSystem files;
  const auto source = data::open_pictures(files, options.source, options.under);
  core::log_info("recognised ", source->description());
  core::Progress progress("import", source->count(), "images");
  const auto done = data::import_pictures(*source, options.import, options.output,
                                          [&](std::int64_t images) { progress.update(images); });
  progress.finish();
  for (const auto& problem : done.skipped) core::log_warning("left out: ", problem);
  print(options, *source, done);
  return 0;
}

}  // namespace

void add_import(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("import", "Make an image store of pictures in another form.");
  auto options = std::make_shared<Options>();
  options->import.threads = all_threads();
  command
      ->add_option("source", options->source,
                   "Folder of class folders (PNG, JPEG), tar or tar.gz of one, IDX images (MNIST family, .gz too), "
                   "CIFAR binary, .npz, HDF5; FILE.npz:PICTURES,LABELS names arrays")
      ->required();
  command->add_option("-o,--output", options->output, "The image store to write, FILE.h5")->required();
  command->add_option("--size", options->import.size, "Cut the middle square out and resize it to N x N");
  command->add_option("--resize", options->filter, "How --size weights pixels")
      ->check(CLI::IsMember({"box", "bilinear", "bicubic", "lanczos"}))
      ->capture_default_str();
  command->add_option("--pad", options->import.pad, "Put black around, up to N x N (28 to 32)");
  auto* grey = command->add_flag("--grey", options->grey, "Make all pictures grey");
  command->add_flag("--rgb", options->rgb, "Make all pictures RGB")->excludes(grey);
  command->add_option("--under", options->under, "Only what lies below this folder of the source");
  command->add_flag("--skip-bad", options->import.skip_bad, "Leave unreadable pictures out instead of failing");
  command->add_option("--threads", options->import.threads, "Threads that decode")->check(CLI::Range(1, 1024));
  command->add_flag("--json", options->json, "Print the result as JSON");
  command->footer("Example:\n  pathline data import train-images-idx3-ubyte.gz -o fashion.h5 --pad 32");
  command->callback([&run, options] {
    options->import.filter = kFilters.at(options->filter);
    options->import.channels = options->grey ? 1 : options->rgb ? 3 : 0;
    run = [options] { return import(*options); };
  });
}

}  // namespace pathline::apps
