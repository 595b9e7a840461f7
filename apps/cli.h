// SPDX-License-Identifier: Apache-2.0
// The command line as every program of Pathline understands it: --help, --version, exit code 2 for what cannot be
// understood, and the nearest known name beside an unknown one.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace pathline::apps {

/// What a program or one of its sub-commands does once its options are known; returns the exit code.
using Run = std::function<int()>;

/// Parses the arguments, then runs `body` inside core::run_program. --help and --version print to stdout and return 0.
/// A sub-command chooses its body in its callback: sub->callback([&run] { run = ...; }), and `body` is
/// [&] { return run(); }.
int run_cli(CLI::App& app, int argc, const char* const* argv, const Run& body);

}  // namespace pathline::apps
