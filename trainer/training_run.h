// SPDX-License-Identifier: Apache-2.0
// A training run from its recipe to its last checkpoint.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cluster/communicator.h"
#include "core/error.h"

namespace pathline::trainer {

/// What a rank was asked for since the last call; one rank suffices (docs/architecture.md, "One control word a step").
struct Requests {
  bool stop = false;        // checkpoint and stop with 64
  bool checkpoint = false;  // checkpoint and go on
};

struct RunRequest {
  std::string recipe;             // path
  std::vector<std::string> sets;  // "section.key=value"
  std::string resume = "auto";    // auto | never | a checkpoint directory
  std::function<Requests()> requests = [] { return Requests{}; };
  std::function<bool()> hurry = [] {
    return false;
  };  // a stop leaves out what the next start can do; asked on any thread
};

/// All ranks. Returns kFinished or kStopped; throws core::Error, on all ranks together where they can still agree.
core::ExitCode run_training(const RunRequest& request, cluster::Communicator& ranks);

/// The complete effective recipe, without touching data or run directory. Throws ExitCode::kUsage if so many ranks
/// cannot train it.
std::string effective_recipe(const RunRequest& request, int ranks);

}  // namespace pathline::trainer
