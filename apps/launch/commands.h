// SPDX-License-Identifier: Apache-2.0
// The sub-commands of `pathline launch`: each adds itself to `app` and sets `run` when it is chosen. The front end has
// blocked the job's signals; what does not wait for them unblocks them.
#pragma once

#include "apps/cli.h"

namespace pathline::apps {

void add_local_command(CLI::App& app, Run& run);
void add_slurm_command(CLI::App& app, Run& run);

}  // namespace pathline::apps
