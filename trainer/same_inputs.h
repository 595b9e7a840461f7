// SPDX-License-Identifier: Apache-2.0
// Ranks that read their own files must have read the same: a data set staged to every host's disk may be last week's on
// one of them, and nothing else would show it but a worse model.
#pragma once

#include <string>
#include <vector>

#include "cluster/communicator.h"
#include "core/config.h"
#include "core/error.h"

namespace pathline::trainer {

/// What a rank read for itself.
struct Input {
  std::string name;      // "data.path"
  std::string text;      // tells one from another
  core::ExitCode code;   // where ranks differ
  std::string try_this;  // what to do then
};

/// Throws on all ranks, naming the first rank whose text of an input is another than rank 0's. All ranks give the same
/// names in one order. Collective.
void check_same_inputs(const std::vector<Input>& inputs, cluster::Communicator& ranks);

/// The effective recipe, a line a key, without data.path: where a host keeps the data is its own affair, and their
/// content an input of its own.
std::string comparable(const core::Config& config);

}  // namespace pathline::trainer
