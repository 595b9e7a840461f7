// SPDX-License-Identifier: Apache-2.0
#include "apps/doctor/probes.h"
#include "core/config.h"
#include "core/error.h"
#include "core/text.h"
#include "launch/doctor/examination.h"
#include "trainer/planner.h"

namespace pathline::apps {
namespace {

using doctor::Line;

/// Run, data and checkpoint sizes as the run would have them. Throws where there is no such run.
Line plan(const DoctorOptions& options, int ranks, Needs& needs) {
  const std::string& path = options.preflight;
  trainer::RunRequest request;
  request.recipe = path;
  request.sets = options.sets;
  {
    core::Config config = core::Config::from_file(path);
    for (const auto& set : options.sets) config.set(set);
    const trainer::Recipe recipe = trainer::read_recipe(config);
    needs.directory = recipe.run.directory;
    needs.data = recipe.data.path;
    needs.device = recipe.run.device;
    needs.threads = static_cast<int>(recipe.run.threads);
    needs.batch = (recipe.train.batch + ranks - 1) / ranks;
    needs.loader_threads = static_cast<int>(recipe.data.loader_threads);
  }
  const trainer::Recipe recipe = trainer::recipe_to_plan(request);
  trainer::PlanRequest asked;
  asked.ranks = ranks;
  asked.flops_per_second = 1e12;  // speeds are not asked for: any will do, and none is measured
  asked.memory_gbytes = 10;
  const trainer::Plan plan = trainer::make_plan(recipe, asked);
  for (const auto& use : plan.memory) needs.rank_memory += use.bytes;
  needs.checkpoint = static_cast<std::uint64_t>(plan.checkpoint_bytes);
  needs.checkpoint_of_rank = static_cast<std::uint64_t>(plan.checkpoint_rank_bytes);
  return doctor::good("recipe", core::concat(path, ": ", static_cast<double>(plan.parameters) / 1e6,
                                             " M parameters, a checkpoint of ", core::human_bytes(needs.checkpoint),
                                             ", ", core::human_bytes(needs.rank_memory), " a rank and activations"));
}

}  // namespace

std::vector<Line> look_at_recipe(const DoctorOptions& options, int ranks, Needs& needs) {
  std::vector<Line> lines;
  if (!options.preflight.empty()) {
    try {
      lines.push_back(plan(options, ranks, needs));
    } catch (const core::Error& error) {
      lines.push_back(doctor::broken_by("recipe", error.what()));
    }
  }
  if (!options.directory.empty()) needs.directory = options.directory;
  if (!options.data.empty()) needs.data = {options.data};
  return lines;
}

}  // namespace pathline::apps
