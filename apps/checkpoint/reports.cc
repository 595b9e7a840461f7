// SPDX-License-Identifier: Apache-2.0
#include "apps/checkpoint/reports.h"

#include <algorithm>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/config.h"
#include "core/error.h"
#include "core/text.h"

namespace pathline::apps {
namespace {

using checkpoint::BestBy;
using checkpoint::Listed;
using checkpoint::Reader;
using nlohmann::ordered_json;

struct KindSummary {
  std::string kind;
  std::uint64_t tensors = 0;
  std::uint64_t elements = 0;
};

/// In the order of the tensor table.
std::vector<KindSummary> summaries(const Reader& reader) {
  std::vector<KindSummary> all;
  for (const auto& tensor : reader.tensors()) {
    auto at = std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.kind == tensor.kind; });
    if (at == all.end()) at = all.insert(all.end(), {tensor.kind, 0, 0});
    std::uint64_t elements = 1;
    for (const std::int64_t extent : tensor.shape) elements *= static_cast<std::uint64_t>(extent);
    ++at->tensors;
    at->elements += elements;
  }
  return all;
}

}  // namespace

std::vector<Listed> checkpoints_at(core::FileSystem& files, const std::string& path) {
  const std::string below = core::join_path(path, "checkpoints");
  std::vector<Listed> all;
  if (files.exists(core::join_path(path, "manifest.json"))) {
    Listed one;
    one.directory = path;
    try {
      one.step = Reader(files, path).state().step;
    } catch (const core::Error& error) {
      one.problem = error.what();
    }
    all.push_back(one);
  } else {
    all = checkpoint::list(files, files.is_directory(below) ? below : path);
  }
  PL_CHECK(!all.empty(), core::ExitCode::kInput, path,
           " holds no checkpoint. Give a run directory, its checkpoints/ or one step-N.");
  return all;
}

BestBy best_by(core::FileSystem& files, const std::vector<Listed>& checkpoints) {
  const auto readable =
      std::find_if(checkpoints.rbegin(), checkpoints.rend(), [](const auto& one) { return one.problem.empty(); });
  BestBy by;
  if (readable == checkpoints.rend()) return by;
  const Reader reader(files, readable->directory);
  core::Config recipe = core::Config::from_text(reader.state().recipe, reader.directory());
  std::string mode = "min";
  recipe.bind("checkpoint", "best_metric", by.metric, core::OnResume::kFree, "");
  recipe.bind("checkpoint", "best_mode", mode, core::OnResume::kFree, "");
  by.mode = mode == "max" ? BestBy::Mode::kMax : BestBy::Mode::kMin;
  return by;
}

std::string list_table(const std::vector<Listed>& checkpoints, const BestBy& by) {
  const auto best = checkpoint::best_of(checkpoints, by, 1);
  std::ostringstream out;
  out << std::setw(10) << "step" << std::setw(12) << "size"
      << "  directory\n";
  for (const auto& one : checkpoints) {
    out << std::setw(10) << one.step << std::setw(12)
        << (one.problem.empty() ? core::human_bytes(one.bytes) : "damaged") << "  " << one.directory
        << (one.latest ? "  (latest)" : "");
    if (!best.empty() && best.front() == one.step)
      out << "  (best " << by.metric << ", " << one.metrics.at(by.metric) << ")";
    out << "\n";
  }
  return out.str();
}

std::string list_json(const std::vector<Listed>& checkpoints, const BestBy& by) {
  const auto best = checkpoint::best_of(checkpoints, by, 1);
  ordered_json all = ordered_json::array();
  for (const auto& one : checkpoints) {
    all.push_back({{"step", one.step},
                   {"directory", one.directory},
                   {"bytes", one.bytes},
                   {"latest", one.latest},
                   {"best", !best.empty() && best.front() == one.step},
                   {"saved_at", one.saved_at},
                   {"problem", one.problem}});
  }
  return all.dump(2) + "\n";
}

std::string state_text(const Reader& reader) {
  const auto& state = reader.state();
  std::ostringstream out;
  const auto line = [&](const std::string& name, const auto& value) {
    out << std::left << std::setw(20) << name << value << "\n";
  };
  line("directory", reader.directory());
  line("step", state.step);
  line("position", state.position);
  line("optimizer step", state.optimizer_step);
  line("seed", state.seed);
  line("skipped windows", state.skipped_windows.size());
  line("kernels", state.kernel_fingerprint);
  line("data", state.data_fingerprint);
  for (const auto& [name, version] : state.versions) line(name, version);
  for (const auto& [name, text] : state.extra) line(name, text);
  for (const auto& [name, value] : state.metrics) line(name, value);
  for (const auto& one : summaries(reader)) {
    line(one.kind, core::concat(one.elements, " elements in ", one.tensors, " tensors"));
  }
  return out.str() + "\n" + state.recipe;
}

std::string state_json(const Reader& reader) {
  const auto& state = reader.state();
  ordered_json metrics = ordered_json::object(), kinds = ordered_json::object();
  for (const auto& [name, value] : state.metrics) metrics[name] = value;  // null where not finite
  for (const auto& one : summaries(reader)) kinds[one.kind] = {{"tensors", one.tensors}, {"elements", one.elements}};
  const ordered_json all = {{"directory", reader.directory()},
                            {"step", state.step},
                            {"position", state.position},
                            {"optimizer_step", state.optimizer_step},
                            {"seed", state.seed},
                            {"skipped_windows", state.skipped_windows},
                            {"skips_in_a_row", state.skips_in_a_row},
                            {"rollbacks_in_a_row", state.rollbacks_in_a_row},
                            {"kernel_fingerprint", state.kernel_fingerprint},
                            {"data_fingerprint", state.data_fingerprint},
                            {"metrics", metrics},
                            {"versions", state.versions},
                            {"extra", state.extra},
                            {"kinds", kinds},
                            {"recipe", state.recipe}};
  return all.dump(2) + "\n";
}

std::vector<std::string> problems_of(core::FileSystem& files, const Listed& checkpoint) {
  try {
    return Reader(files, checkpoint.directory).verify();
  } catch (const core::Error& error) {
    return {error.what()};
  }
}

}  // namespace pathline::apps
