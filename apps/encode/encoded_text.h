// SPDX-License-Identifier: Apache-2.0
// A set whose samples are described by token ids becomes one whose samples are described by embeddings.
#pragma once

#include <cstdint>
#include <string>

#include "sampler/torch_script.h"

namespace pathline::apps {

struct TextEncoding {
  std::string input;       // HDF5: /tokens (N, T), /null_tokens (T), integers; with images or points, or alone
  std::string output;      // the same items and labels with /text_* beside them, or /text_* alone
  std::int64_t batch = 1;  // prompts in the encoder at once
};

/// Returns the number of prompts. Throws core::Error with ExitCode::kInput for tokens that do not fit the items, and
/// for an encoder that does not give (N, T', W) and (N, P).
std::int64_t encode_text(const sampler::TorchScript& encoder, const TextEncoding& encoding);

}  // namespace pathline::apps
