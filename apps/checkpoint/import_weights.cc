// SPDX-License-Identifier: Apache-2.0
// A run that starts from weights is a recipe with model.init: training makes the first checkpoint itself, so that there
// is one writer of checkpoints only.
#include <toml++/toml.h>
#include <filesystem>
#include <sstream>

#include "apps/checkpoint/foreign_weights.h"
#include "apps/checkpoint/weights_file.h"
#include "core/error.h"
#include "core/safetensors.h"

namespace pathline::apps {
namespace {

using core::ExitCode;

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
  const Convention convention = from.empty() ? Convention{} : convention_of(from);
  // Of guided-diffusion's models the one of 64 pixels alone was trained on the cosine schedule (its README).
  const bool cosine = from == "adm" && table["model"]["name"].value_or(std::string()) == "ADM-64";
  if (!from.empty()) set(table, "model", "time_input", cosine ? "ddpm999-cosine" : convention.time_input);
  // Noise predictors: so their velocity is known on any path, and they can be sampled as they are.
  const bool predicts_noise = from == "dit" || from == "adm";
  if (predicts_noise && !table["flow"]["predict"]) set(table, "flow", "predict", "ddpm");

  core::make_durable_directory(files, absolute);
  copy_weights(files, weights, copy, convention);
  std::ostringstream text;
  text << table << "\n";
  const std::string path = core::join_path(absolute, "recipe.toml");
  core::replace_file(files, path, text.str());
  return path;
}

}  // namespace pathline::apps
