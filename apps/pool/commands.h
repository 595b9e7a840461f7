// SPDX-License-Identifier: Apache-2.0
// The sub-commands of `pathline pool`; each adds itself and sets `run` when it is chosen.
#pragma once

#include <functional>

#include "sampler/pool/connection.h"

namespace CLI {
class App;
}

namespace pathline::apps {

void add_serve_command(CLI::App& app, std::function<int()>& run);
void add_submit_command(CLI::App& app, std::function<int()>& run);
void add_status_command(CLI::App& app, std::function<int()>& run);
void add_wait_command(CLI::App& app, std::function<int()>& run);
/// cancel, pause, resume, drain.
void add_control_commands(CLI::App& app, std::function<int()>& run);

/// --pool, --url and --token-file.
void add_connect_options(CLI::App& app, pool::ConnectOptions& options);

}  // namespace pathline::apps
