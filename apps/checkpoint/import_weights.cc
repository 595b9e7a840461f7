// SPDX-License-Identifier: Apache-2.0
// A run that starts from weights is a recipe with model.init: training makes the first checkpoint itself, so that there
// is one writer of checkpoints only.
#include <toml++/toml.h>
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <sstream>
#include <vector>

#include "apps/checkpoint/weights_file.h"
#include "core/error.h"
#include "core/safetensors.h"
#include "core/text.h"

namespace pathline::apps {
namespace {

using core::ExitCode;

/// What the networks of other code bases are fed as time (model.time_input).
const std::map<std::string, std::string> kTimeInputs = {
    {"sit", "flow"},    {"torchcfm", "flow"}, {"repa", "flow-reversed"}, {"sd3", "x1000"},
    {"dit", "ddpm999"}, {"adm", "ddpm999"},   {"lightningdit", "flow"}};

std::string time_input_of(const std::string& from) {
  std::vector<std::string> known;
  for (const auto& [name, input] : kTimeInputs) known.push_back(name);
  const auto found = kTimeInputs.find(from);
  PL_CHECK(found != kTimeInputs.end(), ExitCode::kUsage, "--from ", from, " is unknown; known are ",
           core::listed(known), ". Did you mean ", core::nearest_name(from, known),
           "? Leave it out for weights that Pathline exported.");
  return found->second;
}

void copy_file(core::FileSystem& files, const std::string& from, const std::string& to) {
  const std::uint64_t size = files.size(from);
  std::vector<std::byte> buffer(std::min<std::uint64_t>(size, 64 << 20));
  core::replace_file(files, to, [&](core::WritableFile& file) {
    for (std::uint64_t at = 0; at < size; at += buffer.size()) {
      const auto part = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), size - at));
      files.read(from, at, part);
      file.append(part);
    }
  });
}

toml::table parsed(const std::string& text, const std::string& path) {
  try {
    return toml::parse(text, path);
  } catch (const toml::parse_error& error) {
    throw core::Error(ExitCode::kUsage, core::concat(path, ", line ", error.source().begin.line, ": ",
                                                     error.description(), ". Correct the recipe there."));
  }
}

void set(toml::table& recipe, const std::string& section, const std::string& key, const std::string& value) {
  recipe.insert(section, toml::table{});
  toml::table* keys = recipe[section].as_table();
  PL_CHECK(keys != nullptr, ExitCode::kUsage, "the recipe has ", section, " as a key, not as a section [", section,
           "]. Put it into brackets.");
  keys->insert_or_assign(key, value);
}

}  // namespace

std::string import_weights(core::FileSystem& files, const std::string& weights, const std::string& recipe,
                           const std::string& from, const std::string& run) {
  PL_CHECK(checkpoint::list(files, core::join_path(run, "checkpoints")).empty(), ExitCode::kUsage, run,
           " holds a run with checkpoints already (it would go on from those, not from ", weights,
           "). Give a new directory.");
  core::read_safetensors_header(files, weights);  // refuses what is no safetensors file before anything is written
  toml::table table = parsed(core::read_text(files, recipe), recipe);
  const std::string absolute = std::filesystem::absolute(run).lexically_normal().string();
  const std::string copy = core::join_path(absolute, "init.safetensors");
  set(table, "run", "directory", absolute);
  set(table, "model", "init", copy);
  if (!from.empty()) set(table, "model", "time_input", time_input_of(from));
  // Noise predictors: so their velocity is known on any path, and they can be sampled as they are.
  const bool predicts_noise = from == "dit" || from == "adm";
  if (predicts_noise && !table["flow"]["predict"]) set(table, "flow", "predict", "ddpm");

  core::make_durable_directory(files, absolute);
  copy_file(files, weights, copy);
  std::ostringstream text;
  text << table << "\n";
  const std::string path = core::join_path(absolute, "recipe.toml");
  core::replace_file(files, path, text.str());
  return path;
}

}  // namespace pathline::apps
