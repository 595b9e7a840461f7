// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/data/commands.h"
#include "core/error.h"
#include "core/file_system.h"
#include "core/text.h"
#include "data/contact_sheet.h"
#include "data/latents.h"
#include "data/png.h"
#include "data/shard_source.h"
#include "data/verify.h"

namespace pathline::apps {
namespace {

struct Options {
  std::vector<std::string> files;
  std::string sheet;
  bool json = false;
};

std::string class_name(const data::SetInfo& info, std::size_t label) {
  return label < info.class_names.size() ? info.class_names[label] : std::to_string(label);
}

/// How many items have each attribute.
std::vector<std::int64_t> attribute_counts(const data::ShardSource& source) {
  std::vector<std::int64_t> counts(source.info().attribute_names.size());
  std::vector<std::uint8_t> values(counts.size());
  for (std::int64_t i = 0; i < source.info().count && !counts.empty(); ++i) {
    source.read_attributes(i, values);
    for (std::size_t k = 0; k < counts.size(); ++k) counts[k] += values[k];
  }
  return counts;
}

const char* kind_name(data::ItemKind kind) {
  return kind == data::ItemKind::kImage ? "images" : kind == data::ItemKind::kPoint ? "points" : "latents";
}

nlohmann::json form_of(const data::LatentForm& form) {
  return {{"flips", form.flips}, {"moments", form.moments}, {"shift", form.shift}, {"scale", form.scale}};
}

/// "0.18215" where all channels have it.
std::string numbers_text(const std::vector<double>& numbers) {
  const bool one = std::ranges::all_of(numbers, [&](double number) { return number == numbers[0]; });
  std::string text;
  for (std::size_t c = 0; c < (one ? 1 : numbers.size()); ++c)
    text += core::concat(c == 0 ? "" : ", ", numbers[c]);
  return text;
}

void print_shape(const data::SetInfo& info) {
  if (info.kind == data::ItemKind::kImage) {
    std::cout << info.height << " x " << info.width << " x " << info.channels << ", 8 bits";
  } else if (info.kind == data::ItemKind::kPoint) {
    std::cout << info.channels << " numbers, float32";
  } else {
    std::cout << "latents " << info.channels << " x " << info.height << " x " << info.width << ", float16"
              << data::described(info.latents) << "\nvalues      x = (latent - " << numbers_text(info.latents.shift)
              << ") * " << numbers_text(info.latents.scale);
  }
}

void print_json(const data::SetInfo& info, const std::vector<std::int64_t>& counts,
                const std::vector<std::int64_t>& attributes) {
  auto classes = nlohmann::json::array();
  for (std::size_t i = 0; i < counts.size(); ++i) {
    classes.push_back({{"label", i}, {"name", class_name(info, i)}, {"count", counts[i]}});
  }
  auto properties = nlohmann::json::array();
  for (std::size_t i = 0; i < attributes.size(); ++i) {
    properties.push_back({{"name", info.attribute_names[i]}, {"count", attributes[i]}});
  }
  nlohmann::json result{{"recognised", info.description},
                        {"kind", kind_name(info.kind)},
                        {"count", info.count},
                        {"height", info.height},
                        {"width", info.width},
                        {"channels", info.channels},
                        {"classes", classes},
                        {"digest", info.digest}};
  if (info.kind == data::ItemKind::kLatent) result["latents"] = form_of(info.latents);
  std::cout << result.dump(2) << "\n";
}

void print_text(const data::SetInfo& info, const std::vector<std::int64_t>& counts,
                const std::vector<std::int64_t>& attributes) {
  std::cout << "recognised  " << info.description << "\n"
            << "count       " << info.count << "\n"
            << "shape       ";
  print_shape(info);
  std::cout << "\nbytes       " << core::human_bytes(static_cast<std::uint64_t>(info.count) * info.item_bytes()) << "\n"
            << "digest      " << (info.digest.empty() ? "none stored" : info.digest) << "\n"
            << "classes     " << (counts.empty() ? "no labels" : std::to_string(counts.size())) << "\n";
  for (std::size_t i = 0; i < counts.size(); ++i) {
    std::cout << "  " << i << (class_name(info, i) == std::to_string(i) ? "" : " " + class_name(info, i)) << ": "
              << counts[i] << "\n";
  }
  if (!attributes.empty()) std::cout << "attributes  " << attributes.size() << "\n";
  for (std::size_t i = 0; i < attributes.size(); ++i) {
    std::cout << "  " << info.attribute_names[i] << ": " << attributes[i] << "\n";
  }
}

int inspect(const Options& options) {
  const auto source = data::open_source(options.files);
  const auto counts = data::class_counts(*source);
  const auto attributes = attribute_counts(*source);
  options.json ? print_json(source->info(), counts, attributes) : print_text(source->info(), counts, attributes);
  if (!options.sheet.empty()) {
    const auto png = data::encode_png(data::contact_sheet(*source));
    core::PosixFileSystem files;
    core::replace_file(files, options.sheet, {reinterpret_cast<const char*>(png.data()), png.size()});
  }
  return 0;
}

}  // namespace

void add_inspect(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("inspect", "Say what a data set is, without reading all of it.");
  auto options = std::make_shared<Options>();
  command->add_option("files", options->files, "An image store or another HDF5 file; its parts; or a pattern")
      ->required();
  command->add_option("--sheet", options->sheet, "Write a contact sheet to this PNG file");
  command->add_flag("--json", options->json, "Print JSON");
  command->footer("Example:\n  pathline data inspect shapes.h5 --sheet shapes.png");
  command->callback([&run, options] { run = [options] { return inspect(*options); }; });
}

}  // namespace pathline::apps
