// SPDX-License-Identifier: Apache-2.0
// The multilayer perceptron for points: torchcfm's MLP (torchcfm/models/models.py), Linear and SELU (or another
// activation) in turn. Its input row is [x, t, one-hot label, what is known]; the null label is all zeros.
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>

#include "core/error.h"
#include "model/activation.h"
#include "model/layers.h"
#include "model/network.h"

namespace pathline::model {
namespace {

class Mlp final : public Network {
 public:
  Mlp(const ModelOptions& options, std::optional<std::uint64_t> seed)
      : Network(options, seed), activation_(parse_activation(options.activation)) {
    std::int64_t in = stem_channels() + 1 + options.classes;
    for (std::int64_t i = 0; i <= options.depth; ++i) {
      const std::int64_t out = i == options.depth ? output_channels() : options.hidden;
      layers_.push_back(default_linear(store_, "net." + std::to_string(2 * i), in, out));
      store_.end_group();
      in = out;
    }
  }

 private:
  at::Tensor forward(const at::Tensor& x, const at::Tensor& t, const Condition& condition) override {
    const std::int64_t points = options().input_channels, known = x.size(1) - points;
    const at::Tensor row = x.to(at::kFloat);  // bf16 would know but 256 times
    std::vector<at::Tensor> columns = {row.narrow(1, 0, points), t.unsqueeze(1)};
    if (options().classes > 0) columns.push_back(one_hot(condition.labels).to(at::kFloat));
    if (known > 0) columns.push_back(row.narrow(1, points, known));
    await_group(0);
    at::Tensor h = layers_.front()(at::cat(columns, 1));  // fp32, as the last layer
    for (std::size_t i = 1; i < layers_.size(); ++i) {
      await_group(i);
      const bool last = i + 1 == layers_.size();
      h = layers_[i](activated(activation_, h).to(last ? at::kFloat : x.scalar_type()));
    }
    return h;
  }

  /// labels (N) -> (N, classes).
  at::Tensor one_hot(const at::Tensor& labels) const {
    PL_ASSERT(labels.defined());
    return labels.unsqueeze(1).eq(at::arange(options().classes, labels.options()));
  }

  const Activation activation_;
  std::vector<Linear> layers_;
};

}  // namespace

std::unique_ptr<Network> make_mlp(const ModelOptions& options, std::optional<std::uint64_t> seed) {
  return std::make_unique<Mlp>(options, seed);
}

}  // namespace pathline::model
