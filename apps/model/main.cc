// SPDX-License-Identifier: Apache-2.0
// pathline-model: the network alone. `eval` is one forward pass on given inputs: it proves a conversion of weights;
// `sizes` lists the networks that have names.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <CLI/CLI.hpp>
#include <cstring>

#include "apps/cli.h"
#include "apps/model/sizes.h"
#include "core/error.h"
#include "core/safetensors.h"
#include "data/npz.h"
#include "model/velocity_model.h"
#include "model/weights.h"

namespace pathline::apps {
namespace {

using core::ExitCode;

struct EvalOptions {
  std::string recipe, weights, inputs, output;
  std::vector<std::string> settings;
  bool as_original = false;
};

/// A whole array as a tensor of its own type.
at::Tensor read_array(const data::NpzReader& inputs, const std::string& name) {
  const data::NpyArray array = inputs.read(name);
  const bool integer = array.dtype[0] == 'i';
  const at::ScalarType type = array.dtype == "f4"   ? at::kFloat
                              : array.dtype == "f8" ? at::kDouble
                              : array.dtype == "i4" ? at::kInt
                                                    : at::kLong;
  PL_CHECK(type != at::kLong || array.dtype == "i8", ExitCode::kInput, "array ", name, " has NumPy type ", array.dtype,
           " (float32, float64, int32 and int64 are read). Convert it with .astype.");
  at::Tensor tensor = at::empty(array.shape, type);
  std::memcpy(tensor.mutable_data_ptr(), array.bytes.data(), array.bytes.size());
  return tensor.to(integer ? at::kLong : at::kFloat);
}

/// Prompts of the inputs; neither or both are there.
model::Condition text_of(const data::NpzReader& inputs, const std::string& path) {
  model::Condition condition;
  PL_CHECK(inputs.has("text") == inputs.has("pooled"), ExitCode::kInput, path,
           " has only one of text (N, T, W) and pooled (N, P). A prompt is both.");
  if (!inputs.has("text")) return condition;
  condition.text = read_array(inputs, "text");
  condition.pooled = read_array(inputs, "pooled");
  return condition;
}

/// Rows of the label table in the weights that are classes; 0 without a table.
std::int64_t classes_of(const core::SafetensorsHeader& header, bool null_row) {
  for (const core::TensorEntry& entry : header.tensors) {
    if (entry.name == "y_embedder.embedding_table.weight" || entry.name == "label_emb.weight") {
      return entry.shape.at(0) - (null_row ? 1 : 0);
    }
  }
  return 0;
}

/// The recipe's [model], completed from the inputs and the weights where it leaves that to the data set.
model::ModelOptions model_options(const EvalOptions& eval, core::FileSystem& files, const at::Tensor& x,
                                  const model::Condition& text) {
  core::Config recipe = core::Config::from_file(eval.recipe);
  for (const std::string& setting : eval.settings) recipe.set(setting);
  model::ModelOptions options;
  model::bind(recipe, options);
  if (options.input_channels == 0) options.input_channels = x.size(1);
  if (options.input_size == 0 && x.dim() == 4) options.input_size = x.size(2);
  if (model::takes_text(options) && text.text.defined()) {
    if (options.text_width == 0) options.text_width = text.text.size(-1);
    if (options.text_pooled == 0) options.text_pooled = text.pooled.size(-1);
  }
  if (options.classes < 0) {
    options.classes = classes_of(core::read_safetensors_header(files, eval.weights), options.null_row);
  }
  return options;
}

void check_shapes(const at::Tensor& x, const at::Tensor& t, const at::Tensor& y, const model::ModelOptions& options) {
  const bool fits = x.dim() >= 2 && x.size(1) == options.input_channels &&
                    (x.dim() != 4 || (x.size(2) == options.input_size && x.size(3) == options.input_size));
  PL_CHECK(fits, ExitCode::kInput, "x of the inputs does not have the recipe's shape (N, ", options.input_channels,
           ", ", options.input_size, ", ", options.input_size, "). Give other inputs or another recipe.");
  PL_CHECK(t.dim() == 1 && t.size(0) == x.size(0) && y.dim() == 1 && y.size(0) == x.size(0), ExitCode::kInput,
           "t and y of the inputs must have one number for each of the ", x.size(0), " rows of x.");
  PL_CHECK(y.min().item<std::int64_t>() >= 0 && y.max().item<std::int64_t>() <= options.classes, ExitCode::kInput,
           "y of the inputs has labels outside 0 to ", options.classes, " (the last one is the null label).");
}

void write_output(core::FileSystem& files, const std::string& path, const at::Tensor& v) {
  const at::Tensor values = v.contiguous();
  data::NpyArray array{"f4", values.sizes().vec(), std::vector<std::byte>(values.nbytes())};
  std::memcpy(array.bytes.data(), values.const_data_ptr(), values.nbytes());
  data::NpzWriter writer(files, path);
  writer.add("v", array);
  writer.add("arr_0", array);  // the name that np.savez gives
  writer.finish();
}

int evaluate(const EvalOptions& eval) {
  core::PosixFileSystem files;
  const data::NpzReader inputs(files, eval.inputs);
  const at::Tensor x = read_array(inputs, "x"), t = read_array(inputs, "t");
  PL_CHECK(x.dim() >= 2, ExitCode::kInput, eval.inputs, ": x needs rows and channels, (N, C, H, W) or (N, D).");
  model::Condition condition = text_of(inputs, eval.inputs);
  const model::ModelOptions options = model_options(eval, files, x, condition);
  const auto network = model::make_model(options, 0);
  model::load_weights(files, eval.weights, *network, model::MissingWeights::kError);
  condition.labels =
      inputs.has("y") ? read_array(inputs, "y") : at::full({x.size(0)}, options.classes, at::dtype(at::kLong));
  check_shapes(x, t, condition.labels, options);
  const at::NoGradGuard no_grad;
  const at::Tensor out = network->forward_as_original(x, t, condition);
  write_output(files, eval.output, eval.as_original ? out : out.narrow(1, 0, x.size(1)));
  return 0;
}

int program(int argc, const char* const* argv) {
  CLI::App app{"The network alone", "pathline model"};
  app.require_subcommand(1);
  EvalOptions eval;
  Run run;
  CLI::App* command = app.add_subcommand(
      "eval",
      "One forward pass on given inputs: proves a conversion of weights.\n"
      "Example: pathline model eval --recipe sit.toml --weights W.safetensors --inputs IN.npz -o OUT.npz");
  command->add_option("--recipe", eval.recipe, "TOML with the section [model]")->required();
  command->add_option("--weights", eval.weights, "safetensors in the original code's names")->required();
  command
      ->add_option("--inputs", eval.inputs,
                   "x (N, C, H, W), t (N) as the original network is fed it, optionally y (N); the label after the "
                   "last class, or no y, is the null label; of MMDiT text (N, T, W) and pooled (N, P)")
      ->required();
  command->add_option("-o,--output", eval.output, "npz with v (also as arr_0)")->required();
  command->add_option("--set", eval.settings, "section.key=value, over the recipe");
  command->add_flag("--as-original", eval.as_original,
                    "all channels that the original returns, also those of learn_sigma");
  command->callback([&] { run = [&] { return evaluate(eval); }; });
  bool json = false;
  CLI::App* sizes = app.add_subcommand("sizes", "Parameters and FLOP of every network that has a name of its own.");
  sizes->add_flag("--json", json, "print them as JSON");
  sizes->callback([&] { run = [&] { return print_sizes(json); }; });
  return run_cli(app, argc, argv, [&] { return run(); });
}

}  // namespace
}  // namespace pathline::apps

int main(int argc, char** argv) { return pathline::apps::program(argc, argv); }
