// SPDX-License-Identifier: Apache-2.0
// mpirun and its ranks on this machine, as a supervisor sees them: started, asked by signals, waited for.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace pathline::launch {

/// One start of a launcher in a process group of its own, so that the terminal's Ctrl-C reaches the supervisor alone.
/// Should the supervisor be killed, the launcher gets USR2: the run writes a checkpoint and stops.
class JobProcess {
 public:
  /// `command` is looked up in PATH; `variables` ("NAME=value") are added to the environment. `ranks` processes will be
  /// children of the launcher. Throws ExitCode::kEnvironment if no process can be made.
  JobProcess(const std::vector<std::string>& command, const std::vector<std::string>& variables, int ranks);

  /// Whether all ranks are there and none would die of USR1 or USR2: a launcher forwards them only to ranks that it has
  /// started, and a process that has just begun has no handler yet.
  bool ready() const;
  void send(int signal) const;
  /// The exit code, 128 + signal if it was killed; nothing while it runs. Never blocks.
  std::optional<int> ended();

 private:
  pid_t pid_;
  int ranks_;
  std::optional<int> code_;
};

}  // namespace pathline::launch
