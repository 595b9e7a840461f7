// SPDX-License-Identifier: Apache-2.0
// model.init: a new run that starts from other weights.
#pragma once

#include <string>

#include "core/file_system.h"
#include "model/module.h"

namespace pathline::trainer {

/// Does nothing without model.init. FILE.safetensors is read by model::load_weights; RUN[:KIND] takes KIND
/// ("ema-0.999", "master"; default master) out of a run's newest checkpoint. Throws ExitCode::kUsage or kInput.
void load_starting_weights(core::FileSystem& files, const model::ModelOptions& options, model::Module& model);

/// The same model.init with RUN's newest checkpoint in its place: a run that is still written has another one a moment
/// later. Files stay as they are.
std::string pinned_init(core::FileSystem& files, const std::string& init);

}  // namespace pathline::trainer
