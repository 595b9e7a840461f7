// SPDX-License-Identifier: Apache-2.0
// `pathline data encode` needs LibTorch, which would make every `pathline data` slow to start: a program beside this
// one takes this one's place.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "apps/data/commands.h"
#include "core/error.h"

namespace pathline::apps {
namespace {

int become_encoder(const std::vector<std::string>& arguments) {
  const std::string program = (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "pathline-encode");
  std::vector<std::string> words = {"pathline data encode"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  ::execv(program.c_str(), pointers.data());
  throw core::Error(core::ExitCode::kEnvironment, core::concat("cannot start ", program, ": ", core::errno_text(),
                                                               ". It belongs beside the other programs: build or "
                                                               "install it."));
}

}  // namespace

void add_encode(CLI::App& app, Run& run) {
  CLI::App* command =
      app.add_subcommand("encode", "Encode the pictures of a set, or its prompts, with a TorchScript encoder.");
  command->set_help_flag();  // the encoder's own
  command->prefix_command();
  command->callback([&run, command] { run = [command] { return become_encoder(command->remaining()); }; });
}

}  // namespace pathline::apps
