// SPDX-License-Identifier: Apache-2.0
// The batch script of a training run, or of an array of generation tasks: text from options, nothing else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "launch/slurm_options.h"

namespace pathline::launch {

/// Samples 0 .. count - 1, made by `tasks` array tasks, each a fixed range of ids in a file of its own.
struct Generation {
  std::int64_t tasks = 1;
  std::int64_t count = 0;
  std::string output;                  // "samples.h5" becomes "samples.ids-0-4999.h5" and so on
  std::vector<std::string> arguments;  // of `pathline sample`, without these
};

struct SlurmJob {
  std::string name;
  std::string directory;      // where the job works, absolute: relative paths of the recipe start there
  std::string pathline;       // the front end: a path, or "pathline" inside a container
  std::string recipe;         // absolute
  std::string run_directory;  // run.directory of the recipe
  std::vector<std::string> sets;
  std::string after;  // job id, or "afterok:123" and the like; empty: at once
  std::optional<Generation> generation;
};

/// The whole script. Throws ExitCode::kUsage for what an #SBATCH line cannot hold.
std::string batch_script(const SlurmJob& job, const Site& site);

}  // namespace pathline::launch
