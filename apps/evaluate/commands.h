// SPDX-License-Identifier: Apache-2.0
// Sub-commands of `pathline evaluate` that need a model. Each adds itself and its options to `app` and, if it is
// chosen, sets `run`.
#pragma once

#include "apps/cli.h"

namespace pathline::apps {

void add_straightness(CLI::App& app, Run& run);
void add_held_out_loss(CLI::App& app, Run& run);
void add_classifier(CLI::App& app, Run& run);

}  // namespace pathline::apps
