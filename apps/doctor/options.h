// SPDX-License-Identifier: Apache-2.0
// What `pathline doctor` was asked for; both of its processes read the same command line.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace pathline::apps {

struct DoctorOptions {
  std::string preflight;          // a recipe: the quick form, about this recipe
  std::vector<std::string> sets;  // "section.key=value" for that recipe
  std::string directory;          // storage to look at; default: run.directory of the recipe, or the current one
  std::string data;               // a data set; default: data.path of the recipe
  std::string json;               // a file, or "-" for stdout
  double deadline = 0;            // seconds for everything together; 0: 60 in the quick form, else 180
  bool quick() const { return !preflight.empty(); }
  double seconds() const { return deadline > 0 ? deadline : quick() ? 60 : 180; }
};

void add_options(CLI::App& app, DoctorOptions& options);
extern const char* const kDoctorHelp;

}  // namespace pathline::apps
