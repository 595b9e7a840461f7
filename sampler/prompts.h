// SPDX-License-Identifier: Apache-2.0
// Samplers know labels alone: of a model conditioned on text a label is the number of a prompt, looked up in a table
// that lies beside the model.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>

#include "data/shard_source.h"
#include "model/velocity_model.h"

namespace pathline::sampler {

struct Prompts {
  at::Tensor text;    // (P + 1, T, W) fp32; the last one is the empty prompt
  at::Tensor pooled;  // (P + 1, D) fp32
  std::int64_t count() const { return text.size(0) - 1; }
  /// Count, shape and checksum: the same for the same numbers, whatever file they come from.
  std::string identity() const;
};

/// A file of encoded prompts (docs/formats/image-store.md). Throws ExitCode::kInput.
Prompts read_prompts(const std::string& path);

/// Those of the first samples of a described set, at most `count`.
Prompts first_prompts(const data::ShardSource& source, std::int64_t count);

/// `model` (as owner, or not: the deleter says) asked by the number of a prompt: options().classes is their number and
/// the null label means the empty prompt. Parameters are the model's own. Throws ExitCode::kUsage for a model that
/// takes no text, or text of another width.
std::unique_ptr<model::VelocityModel> prompted(std::shared_ptr<model::Module> model, Prompts prompts);

}  // namespace pathline::sampler
