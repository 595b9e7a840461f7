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
#include "data/attributes.h"
#include "data/import_plan.h"

namespace pathline::apps {
namespace {

struct Options {
  std::string source, under, attributes, format = "auto", filter = "bicubic";
  data::ImportOptions import;
  data::Destination to;
  bool grey = false, rgb = false, json = false;
};

const std::map<std::string, data::Filter> kFilters = {{"box", data::Filter::kBox},
                                                      {"bilinear", data::Filter::kBilinear},
                                                      {"bicubic", data::Filter::kBicubic},
                                                      {"lanczos", data::Filter::kLanczos}};

void print(const data::ImportPlan& plan, const data::Imported& done, bool json) {
  const data::SetInfo& info = plan.info;
  const std::string& file = plan.in_parts() ? plan.index : plan.files.front().path;
  if (json) {
    std::cout << nlohmann::json{{"file", file},
                                {"parts", plan.files.size()},
                                {"count", done.count},
                                {"height", info.height},
                                {"width", info.width},
                                {"channels", info.channels},
                                {"classes", info.classes},
                                {"attributes", info.attribute_names.size()},
                                {"left_out", done.left_out},
                                {"skipped", done.problems},
                                {"digest", done.digest}}
                     .dump(2)
              << "\n";
    return;
  }
  std::cout << file << ": " << done.count << " images of " << info.height << " x " << info.width << " x "
            << info.channels;
  if (info.classes > 0) std::cout << ", " << info.classes << " classes";
  if (!info.attribute_names.empty()) std::cout << ", " << info.attribute_names.size() << " attributes";
  if (plan.in_parts()) std::cout << ", in " << plan.files.size() << " parts";
  if (done.left_out > 0) std::cout << "; " << done.left_out << " unreadable pictures left out";
  std::cout << "\ndigest " << done.digest << "\n";
}

int import(const Options& options) {
  core::PosixFileSystem files;
  auto source = data::open_pictures(files, options.source, options.under, data::source_formats().at(options.format));
  if (!options.attributes.empty()) {
    source = data::with_attributes(std::move(source), data::read_attribute_table(files, options.attributes));
  }
  core::log_info("recognised ", source->description());
  const auto plan = data::plan_import(*source, options.import, options.to);
  core::Progress progress("import", source->count(), "images", true, plan.pictures_done());
  const auto done =
      data::import_pictures(*source, options.import, plan, [&](std::int64_t images) { progress.update(images); });
  progress.finish();
  for (const auto& problem : done.problems) core::log_warning("left out: ", problem);
  print(plan, done, options.json);
  return 0;
}

}  // namespace

void add_import(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("import", "Make an image store of pictures in another form.");
  auto options = std::make_shared<Options>();
  options->import.threads = all_threads();
  command
      ->add_option("source", options->source,
                   "Folder of class folders (PNG, JPEG) or with dataset.json, zip, tar or tar.gz of one, IDX images "
                   "(MNIST family, .gz too), CIFAR binary, .npz, HDF5; FILE.npz:PICTURES,LABELS names arrays")
      ->required();
  command->add_option("-o,--output", options->to.path, "The image store to write, FILE.h5")->required();
  command->add_flag("--overwrite", options->to.overwrite, "Replace what is there and is something else");
  command
      ->add_option("--part-size", options->to.part_bytes,
                   "Write FILE-00000-of-00004.h5 ... of at most so many bytes (2G, 512MiB), and FILE.json")
      ->transform(CLI::AsSizeValue(true))
      ->check(CLI::PositiveNumber);
  command->add_option("--format", options->format, "What the source is, where its content leaves it open")
      ->check(CLI::IsMember(data::source_formats()))
      ->capture_default_str();
  command->add_option("--size", options->import.size, "Cut the middle square out and resize it to N x N");
  command->add_option("--resize", options->filter, "How --size weights pixels")
      ->check(CLI::IsMember({"box", "bilinear", "bicubic", "lanczos"}))
      ->capture_default_str();
  command->add_option("--pad", options->import.pad, "Put black around, up to N x N (28 to 32)");
  auto* grey = command->add_flag("--grey", options->grey, "Make all pictures grey");
  command->add_flag("--rgb", options->rgb, "Make all pictures RGB")->excludes(grey);
  command->add_option("--under", options->under, "Only what lies below this folder of the source");
  command->add_option("--attributes", options->attributes,
                      "Yes/no attributes by file name: CelebA's list_attr_celeba.txt, or CSV image_id,NAME,NAME...");
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
