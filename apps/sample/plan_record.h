// SPDX-License-Identifier: Apache-2.0
// How a plan's parts are called in the record of its job.
#pragma once

#include <string>

#include "sampler/checkpointed_model.h"

namespace pathline::apps {

/// Which checkpoint, whatever its directory is called.
std::string checkpoint_text(const sampler::CheckpointedModel& loaded);

/// The part of it that tells checkpoints apart.
std::string manifest_text(const std::string& step_directory);

}  // namespace pathline::apps
