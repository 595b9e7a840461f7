// SPDX-License-Identifier: Apache-2.0
#include "apps/launch/recipe_facts.h"

#include "core/config.h"

namespace pathline::apps {

RecipeFacts recipe_facts(const std::string& recipe, const std::vector<std::string>& sets) {
  core::Config config = core::Config::from_file(recipe);
  for (const auto& set : sets) config.set(set);
  RecipeFacts facts{"runs/default", 3};  // the defaults of trainer/options.h
  config.bind("run", "directory", facts.run_directory, core::OnResume::kFree, "");
  config.bind("run", "restarts_without_progress", facts.restarts_without_progress, core::OnResume::kFree, "");
  return facts;
}

}  // namespace pathline::apps
