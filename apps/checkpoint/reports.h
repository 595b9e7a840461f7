// SPDX-License-Identifier: Apache-2.0
// What `pathline checkpoint list`, `verify` and `show` print to stdout.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "core/file_system.h"

namespace pathline::apps {

/// The checkpoints that a run directory, its checkpoints/ or one step-N stand for, oldest first.
/// Throws ExitCode::kInput where there are none.
std::vector<checkpoint::Listed> checkpoints_at(core::FileSystem& files, const std::string& path);

/// What the newest readable checkpoint's recipe calls the best ([checkpoint] best_metric, best_mode).
checkpoint::BestBy best_by(core::FileSystem& files, const std::vector<checkpoint::Listed>& checkpoints);

/// The one best is marked.
std::string list_table(const std::vector<checkpoint::Listed>& checkpoints, const checkpoint::BestBy& by = {});
std::string list_json(const std::vector<checkpoint::Listed>& checkpoints, const checkpoint::BestBy& by = {});

std::string state_text(const checkpoint::Reader& reader);
std::string state_json(const checkpoint::Reader& reader);

/// Reads every byte. One line for each thing that is wrong, empty if the checkpoint is good.
std::vector<std::string> problems_of(core::FileSystem& files, const checkpoint::Listed& checkpoint);

}  // namespace pathline::apps
