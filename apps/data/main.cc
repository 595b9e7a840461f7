// SPDX-License-Identifier: Apache-2.0
// pathline-data: what `pathline data` starts. Links no LibTorch, so that it starts in milliseconds.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <thread>

#include "apps/data/commands.h"

namespace pathline::apps {

int all_threads() { return static_cast<int>(std::max(1u, std::thread::hardware_concurrency())); }

}  // namespace pathline::apps

int main(int argc, char** argv) {
  using namespace pathline::apps;
  CLI::App app("Data sets: import, make, encode, inspect, repack, split, verify.", "pathline data");
  app.require_subcommand(1);
  Run run;
  add_import(app, run);
  add_encode(app, run);
  add_make(app, run);
  add_inspect(app, run);
  add_repack(app, run);
  add_split(app, run);
  add_verify(app, run);
  return run_cli(app, argc, argv, [&] { return run(); });
}
