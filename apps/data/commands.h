// SPDX-License-Identifier: Apache-2.0
// The sub-commands of `pathline data`. Each adds itself and its options to `app` and, if it is chosen, sets `run`.
#pragma once

#include "apps/cli.h"

namespace pathline::apps {

void add_import(CLI::App& app, Run& run);
void add_encode(CLI::App& app, Run& run);
void add_make(CLI::App& app, Run& run);
void add_inspect(CLI::App& app, Run& run);
void add_repack(CLI::App& app, Run& run);
void add_split(CLI::App& app, Run& run);
void add_verify(CLI::App& app, Run& run);

/// Threads for work that scales: as many as there are cores.
int all_threads();

}  // namespace pathline::apps
