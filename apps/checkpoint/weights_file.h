// SPDX-License-Identifier: Apache-2.0
// Between checkpoints and the one-file weights that other tools read and write.
#pragma once

#include <string>

#include "checkpoint/checkpoint.h"
#include "core/file_system.h"

namespace pathline::apps {

/// The kind of state that `--ema` means: "" the first EMA in the checkpoint (the masters if there is none), "none" the
/// masters, a decay its EMA. Throws ExitCode::kUsage listing what there is.
std::string kind_of_ema(const checkpoint::Reader& reader, const std::string& ema);

/// Writes all tensors of `kind` and all buffers under the model's names, in the order of the checkpoint's tensor table.
/// The bytes depend on the weights and the recipe's [model] only, not on who wrote the checkpoint. Needs memory for the
/// largest tensor.
void export_weights(core::FileSystem& files, const checkpoint::Reader& reader, const std::string& kind,
                    const std::string& path);

/// Makes `run`/recipe.toml, which is `recipe` starting from `run`/init.safetensors, a copy of `weights`. `from` names
/// the code base that trained them ("" ours), and so their convention (foreign_weights.h) and, of dit and adm, what they
/// predict. Returns the path of the new recipe. Throws ExitCode::kUsage where `run` has checkpoints already.
std::string import_weights(core::FileSystem& files, const std::string& weights, const std::string& recipe,
                           const std::string& from, const std::string& run);

}  // namespace pathline::apps
