// SPDX-License-Identifier: Apache-2.0
// The command `pathline`: finds the back end of a sub-command and becomes it.
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/file_system.h"
#include "core/text.h"
#include "launch/back_ends.h"
#include "launch/signals.h"

namespace {

using namespace pathline;

std::string unknown_command(const std::string& command) {
  std::vector<std::string> known;
  for (const auto& back_end : launch::back_ends()) known.emplace_back(back_end.command);
  return core::concat("\"", command, "\" is not a command of pathline. Did you mean \"",
                      core::nearest_name(command, known), "\"? `pathline --help` lists all.");
}

[[noreturn]] void become(const std::string& program, const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  throw core::Error(core::ExitCode::kEnvironment,
                    core::concat("cannot start ", program, ": ", core::errno_text(),
                                 " (the sub-command's program). Build it with scripts/build."));
}

int run(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "-h") {
    std::fputs(launch::usage().c_str(), arguments.empty() ? stderr : stdout);
    return arguments.empty() ? static_cast<int>(core::ExitCode::kUsage) : 0;
  }
  if (arguments[0] == "--version") {
    std::puts("pathline " PATHLINE_VERSION);
    return 0;
  }
  const launch::BackEnd* back_end = launch::find_back_end(arguments[0]);
  PL_CHECK(back_end != nullptr, core::ExitCode::kUsage, unknown_command(arguments[0]));
  if (back_end->waits_for_signals) launch::block_job_signals();
  become(core::join_path(launch::own_directory(), std::string(back_end->program)),
         launch::back_end_arguments(*back_end, arguments));
}

}  // namespace

int main(int argc, char** argv) {
  return core::run_program([&] { return run(argc, argv); });
}
