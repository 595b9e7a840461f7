// SPDX-License-Identifier: Apache-2.0
#include "model/weights.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <map>
#include <optional>
#include <span>

#include "core/error.h"
#include "core/safetensors.h"
#include "core/text.h"
#include "model/option_checks.h"

namespace pathline::model {
namespace {

using core::ExitCode;

bool is_label_table(const std::string& name) {
  return name == "y_embedder.embedding_table.weight" || name == "label_emb.weight";
}

bool is_first_convolution(const std::string& name) {
  return name == "x_embedder.proj.weight" || name == "input_blocks.0.0.weight";
}

bool is_last_layer(const std::string& name) {
  return name.starts_with("final_layer.linear.") || name.starts_with("out.2.");
}

/// The rows of the last layer are (pixel of the patch, velocity or sigma, channel): how many times all channels.
std::int64_t channel_groups(const ModelOptions& options) {
  const Family family = family_of(options.name);
  const bool patches = family == Family::kTransformer || family == Family::kMmDit;
  return (patches ? options.patch * options.patch : 1) * (options.learn_sigma ? 2 : 1);
}

std::string shape_text(at::IntArrayRef shape) {
  std::string text = "[";
  for (const std::int64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

std::optional<at::ScalarType> scalar_type(const std::string& dtype) {
  if (dtype == "F32") return at::kFloat;
  if (dtype == "F16") return at::kHalf;
  if (dtype == "BF16") return at::kBFloat16;
  return std::nullopt;
}

/// The file's tensor as it is stored.
at::Tensor read_tensor(core::FileSystem& files, const std::string& path, const core::TensorEntry& entry) {
  const std::optional<at::ScalarType> type = scalar_type(entry.dtype);
  PL_CHECK(type, ExitCode::kUsage, path, ": tensor ", entry.name, " has type ", entry.dtype,
           " (weights are read as F32, F16 or BF16). Convert the file with scripts/convert_weights.py.");
  at::Tensor tensor = at::empty(entry.shape, *type);
  files.read(path, entry.begin, {static_cast<std::byte*>(tensor.mutable_data_ptr()), tensor.nbytes()});
  return tensor;
}

/// How a tensor of another shape may still be used.
enum class Fit { kSame, kLabelRows, kInputChannels, kOutputChannels, kNone };

Fit fit_of(const NamedTensor& mine, at::IntArrayRef theirs, const ModelOptions& options, MissingWeights missing) {
  const at::IntArrayRef ours = mine.tensor.sizes();
  if (ours == theirs) return Fit::kSame;
  if (missing == MissingWeights::kError || ours.size() != theirs.size()) return Fit::kNone;
  if (is_label_table(mine.name) && ours[1] == theirs[1]) return Fit::kLabelRows;
  // An MLP's row is [x, t, one-hot label, what is known]: all behind x and t may be new.
  const std::int64_t x_and_t = options.input_channels + 1;
  const bool new_columns = mine.name == "net.0.weight" && ours[0] == theirs[0] && ours[1] > theirs[1] &&
                           (theirs[1] == x_and_t || theirs[1] == x_and_t + options.classes);
  if (new_columns) return Fit::kInputChannels;
  const bool grows = is_first_convolution(mine.name) && ours[0] == theirs[0] && ours[1] > theirs[1] &&
                     ours.slice(2) == theirs.slice(2);
  if (grows) return Fit::kInputChannels;
  const bool widens = is_last_layer(mine.name) && ours[0] > theirs[0] && theirs[0] % channel_groups(options) == 0 &&
                      ours.slice(1) == theirs.slice(1);
  return widens ? Fit::kOutputChannels : Fit::kNone;
}

/// Rows by class number, new rows zero; the null label stays the last row where both tables have one.
void copy_label_rows(const at::Tensor& target, const at::Tensor& source, bool null_row) {
  const std::int64_t last = null_row ? 1 : 0;
  const std::int64_t common = std::min(target.size(0), source.size(0)) - last;
  target.zero_();
  target.narrow(0, 0, common).copy_(source.narrow(0, 0, common));
  if (null_row) target[-1].copy_(source[-1]);
}

void copy_output_channels(const at::Tensor& target, const at::Tensor& source, std::int64_t groups) {
  const at::Tensor old = source.reshape({groups, source.size(0) / groups, -1});
  target.zero_();
  target.view({groups, target.size(0) / groups, -1}).narrow(1, 0, old.size(1)).copy_(old);
}

void copy_fitting(const NamedTensor& mine, const at::Tensor& source, Fit fit, const ModelOptions& options) {
  const at::Tensor target = mine.tensor.detach();
  switch (fit) {
    case Fit::kSame:
      target.copy_(source);
      return;
    case Fit::kLabelRows:
      copy_label_rows(target, source, options.null_row);
      return;
    case Fit::kInputChannels:
      target.zero_();
      target.narrow(1, 0, source.size(1)).copy_(source);
      return;
    case Fit::kOutputChannels:
      copy_output_channels(target, source, channel_groups(options));
      return;
    case Fit::kNone:
      return;
  }
}

/// What keeps a file from being this model's weights.
struct Differences {
  std::vector<std::string> missing, unknown, shapes;

  void check(const std::string& path, const Module& model) const {
    std::string text;
    append(text, "missing: ", missing);
    append(text, "not of this model: ", unknown);
    append(text, "of another shape: ", shapes);
    PL_CHECK(text.empty(), ExitCode::kUsage, path, " has not the weights of ", model.options().name,
             " as the recipe describes it; ", text,
             " (it is a checkpoint of another model). Compare the recipe's [model] with the one it was trained with; "
             "new label rows and channels may start at zero with model.init_missing = \"zero\".");
  }

 private:
  static void append(std::string& text, const char* title, const std::vector<std::string>& names) {
    if (names.empty()) return;
    const std::size_t shown = std::min<std::size_t>(names.size(), 5);
    if (!text.empty()) text += "; ";
    text += title + core::listed(std::span(names).first(shown));
    if (shown < names.size()) text += " (" + std::to_string(names.size()) + " in all)";
  }
};

struct Source {
  const NamedTensor* target;
  const StoredTensor* stored;  // null: starts at zero
  Fit fit;
};

/// Pairs every parameter with its tensor, or throws.
std::vector<Source> plan(const std::vector<StoredTensor>& tensors, const std::string& source, const Module& model,
                         MissingWeights missing) {
  std::map<std::string, const StoredTensor*> unused;
  for (const StoredTensor& stored : tensors) unused[stored.name] = &stored;
  Differences differences;
  std::vector<Source> sources;
  const auto take = [&](const NamedTensor& mine, bool may_miss) {
    const auto found = unused.find(mine.name);
    if (found == unused.end()) {
      if (!may_miss) differences.missing.push_back(mine.name);
      return false;
    }
    const StoredTensor* stored = found->second;
    const Fit fit = fit_of(mine, stored->shape, model.options(), missing);
    if (fit == Fit::kNone) {
      differences.shapes.push_back(
          core::concat(mine.name, " ", shape_text(stored->shape), " instead of ", shape_text(mine.tensor.sizes())));
    }
    sources.push_back({&mine, stored, fit});
    unused.erase(found);
    return true;
  };
  for (const NamedTensor& mine : model.parameters()) {
    const bool may_be_zero = missing == MissingWeights::kZero && is_label_table(mine.name);
    if (!take(mine, may_be_zero) && may_be_zero) sources.push_back({&mine, nullptr, Fit::kSame});
  }
  for (const NamedTensor& mine : model.buffers()) take(mine, true);  // computed from the options anyway
  for (const auto& [name, stored] : unused) differences.unknown.push_back(name);
  differences.check(source, model);
  return sources;
}

}  // namespace

void load_tensors(const std::vector<StoredTensor>& stored, const std::string& source, Module& model,
                  MissingWeights missing) {
  at::NoGradGuard no_grad;
  for (const Source& each : plan(stored, source, model, missing)) {
    if (each.stored == nullptr) {
      each.target->tensor.detach().zero_();
    } else {
      copy_fitting(*each.target, each.stored->read(), each.fit, model.options());
    }
  }
}

void load_weights(core::FileSystem& files, const std::string& path, Module& model, MissingWeights missing) {
  const core::SafetensorsHeader header = core::read_safetensors_header(files, path);
  std::vector<StoredTensor> stored;
  for (const core::TensorEntry& entry : header.tensors) {
    stored.push_back({entry.name, entry.shape, [&] { return read_tensor(files, path, entry); }});
  }
  load_tensors(stored, path, model, missing);
}

void save_weights(core::FileSystem& files, const std::string& path, const Module& model) {
  std::vector<NamedTensor> tensors;  // fp32 on the host, alive until written
  for (const auto* list : {&model.buffers(), &model.parameters()}) {
    for (const NamedTensor& each : *list) {
      tensors.push_back({each.name, each.tensor.detach().to(at::kCPU, at::kFloat).contiguous()});
    }
  }
  std::vector<core::TensorBytes> bytes;
  for (const NamedTensor& each : tensors) {
    bytes.push_back({each.name,
                     "F32",
                     each.tensor.sizes().vec(),
                     {static_cast<const std::byte*>(each.tensor.const_data_ptr()), each.tensor.nbytes()}});
  }
  const std::unique_ptr<core::WritableFile> file = files.create(path + ".tmp");
  core::write_safetensors(*file, bytes, {{"format", "pt"}, {"pathline_model", model_toml(model.options())}});
  file->sync();
  file->close();
  files.rename(path + ".tmp", path);
  files.sync_directory(core::parent_of(path));
}

}  // namespace pathline::model
