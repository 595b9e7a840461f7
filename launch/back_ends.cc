// SPDX-License-Identifier: Apache-2.0
#include "launch/back_ends.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>

#include "core/error.h"
#include "core/file_system.h"

namespace pathline::launch {
namespace {

constexpr std::array<BackEnd, 11> kBackEnds = {{
    {"data", "pathline-data", false, "import, make, encode, repack, split, inspect and verify image stores"},
    {"train", "pathline-train", true, "train a model from a recipe, alone or under mpirun or srun"},
    {"sample", "pathline-sample", true, "generate samples from a checkpoint"},
    {"evaluate", "pathline-evaluate", false, "how far one set is from another, and how good a model is"},
    {"likelihood", "pathline-likelihood", true, "bits per dimension of a data set under a checkpoint"},
    {"pool", "pathline-pool", true, "make large sets with any number of workers that come and go"},
    {"model", "pathline-model", false, "list published sizes, run a network on given inputs"},
    {"checkpoint", "pathline-checkpoint", false, "list, verify, show, export and import checkpoints"},
    {"launch", "pathline-launch", true, "start a run here or as a Slurm job, and start it again after interruptions"},
    {"bench", "pathline-bench", false, "measure training steps, sampling, loading and checkpoints"},
    {"doctor", "pathline-doctor", false, "say what this machine and allocation have, and what is broken"},
}};

}  // namespace

std::span<const BackEnd> back_ends() { return kBackEnds; }

const BackEnd* find_back_end(std::string_view command) {
  const auto found = std::find_if(kBackEnds.begin(), kBackEnds.end(),
                                  [&](const BackEnd& back_end) { return back_end.command == command; });
  return found == kBackEnds.end() ? nullptr : &*found;
}

std::vector<std::string> back_end_arguments(const BackEnd& back_end, const std::vector<std::string>& arguments) {
  std::vector<std::string> result{"pathline " + std::string(back_end.command)};
  result.insert(result.end(), arguments.begin() + 1, arguments.end());
  return result;
}

std::string own_directory() {
  char path[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof(path));
  PL_CHECK(length > 0, core::ExitCode::kEnvironment, "cannot read /proc/self/exe: ", core::errno_text(),
           " (the back ends lie beside this program). Mount /proc.");
  return core::parent_of(std::string(path, static_cast<std::size_t>(length)));
}

std::string usage() {
  std::string text =
      "Pathline trains and samples flow models on images.\n\n"
      "usage: pathline COMMAND [OPTIONS]      pathline COMMAND --help      pathline --version\n\n"
      "commands:\n";
  for (const auto& back_end : kBackEnds) {
    std::string line = "  " + std::string(back_end.command);
    line.resize(14, ' ');
    text += line + std::string(back_end.summary) + "\n";
  }
  return text +
         "\nexample:\n"
         "  pathline data make shapes -o shapes.h5\n"
         "  mpirun -n 2 pathline train recipes/quickstart.toml\n"
         "  pathline sample --checkpoint runs/quickstart --count 64 -o samples.png\n";
}

}  // namespace pathline::launch
