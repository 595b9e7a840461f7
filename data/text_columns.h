// SPDX-License-Identifier: Apache-2.0
// What samples are described by (docs/formats/image-store.md): /text_embeddings (N, T, W), one row a token of a prompt,
// /text_pooled (N, P), the prompt as a whole, and the same of the empty prompt, /null_text (T, W) and /null_pooled (P);
// float16 or float32. They lie beside images, or alone in a file of prompts.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/hdf5.h"
#include "data/shard_source.h"

namespace pathline::data {

/// "5 tokens of 24 numbers, pooled 20"
std::string described(const TextShape& shape);

class TextColumns {
 public:
  /// Empty where the file has no /text_embeddings. Throws ExitCode::kInput, naming path and data set, where something
  /// is missing beside it or has another shape.
  static std::optional<TextColumns> in(const hdf5::File& file);
  /// Those of a file of prompts. Throws ExitCode::kInput where there are none.
  static TextColumns open(const std::string& path);

  std::int64_t count() const { return text_.shape()[0]; }
  const TextShape& shape() const { return shape_; }
  /// Prompt `index`: shape().values() numbers, tokens first. Any thread.
  void read(std::int64_t index, std::span<float> out) const;
  /// The empty prompt, likewise.
  const std::shared_ptr<const std::vector<float>>& null() const { return null_; }

 private:
  explicit TextColumns(const hdf5::File& file);

  std::string path_;
  hdf5::DataSet text_, pooled_;
  TextShape shape_;
  std::shared_ptr<const std::vector<float>> null_;
};

}  // namespace pathline::data
