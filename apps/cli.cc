// SPDX-License-Identifier: Apache-2.0
#include "apps/cli.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/machine.h"
#include "core/text.h"

namespace pathline::apps {
namespace {

using core::ExitCode;

/// The sub-command that was chosen, or the program itself.
const CLI::App& chosen(const CLI::App& app) {
  const auto parsed = app.get_subcommands();
  return parsed.empty() ? app : chosen(*parsed.front());
}

std::string command_of(const CLI::App& app) {
  return app.get_parent() ? command_of(*app.get_parent()) + " " + app.get_name() : app.get_name();
}

std::vector<std::string> known_options(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::vector<std::string> known_commands(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(sub->get_name());
  }
  return names;
}

std::string did_you_mean(const std::string& name, const std::vector<std::string>& known) {
  return known.empty() ? "" : core::concat(" The nearest known one is ", core::nearest_name(name, known), ".");
}

/// The error in our form. CLI11's own text is kept where it says all there is (a missing or malformed value).
core::Error explained(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = chosen(app);
  const std::string help = core::concat(" See ", command_of(command), " --help.");
  const auto unknown = app.remaining(true);
  if (unknown.empty()) return {ExitCode::kUsage, core::concat(command_of(command), ": ", error.what(), ".", help)};

  const std::string name = unknown.front().substr(0, unknown.front().find('='));
  const auto commands = known_commands(command);
  if (name.rfind('-', 0) == 0) {
    return {ExitCode::kUsage, core::concat(command_of(command), " has no option ", name, ".",
                                           did_you_mean(name, known_options(command)), help)};
  }
  if (!commands.empty()) {
    return {ExitCode::kUsage,
            core::concat(command_of(command), " has no sub-command ", name, ".", did_you_mean(name, commands), help)};
  }
  return {ExitCode::kUsage, core::concat(command_of(command), " takes no further argument, but got ", name, ".", help)};
}

/// False if --help or --version said all that was asked for.
bool parse(CLI::App& app, int argc, const char* const* argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != static_cast<int>(CLI::ExitCodes::Success)) throw explained(app, error);
    app.exit(error, std::cout, std::cerr);
    return false;
  }
  return true;
}

}  // namespace

int run_cli(CLI::App& app, int argc, const char* const* argv, const Run& body) {
  return core::run_program([&] {
    core::raise_open_file_limit();
    const std::string name = app.get_name().empty() ? argv[0] : app.get_name();
    app.set_version_flag("--version", name + " " PATHLINE_VERSION);
    return parse(app, argc, argv) ? body() : static_cast<int>(ExitCode::kFinished);
  });
}

}  // namespace pathline::apps
