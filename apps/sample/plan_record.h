// SPDX-License-Identifier: Apache-2.0
// How a plan's parts are called in the record of its job.
#pragma once

#include <string>

#include "sampler/checkpointed_model.h"

namespace pathline::apps {

/// Which checkpoint, whatever its directory is called.
std::string checkpoint_text(const sampler::CheckpointedModel& loaded);

}  // namespace pathline::apps
