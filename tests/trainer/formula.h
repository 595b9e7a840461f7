// SPDX-License-Identifier: Apache-2.0
// A network that is a formula of points (N, 2), without parameters worth the name.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "model/velocity_model.h"

namespace pathline::tests {

class Formula final : public model::VelocityModel {
 public:
  /// Given x (N, 2) and the time (N) that the network is asked with; returns (N, 2), any floating type.
  using Answer = std::function<at::Tensor(const at::Tensor& x, const at::Tensor& t)>;

  explicit Formula(Answer answer, const model::ModelOptions& options = of_points())
      : answer_(std::move(answer)), options_(options) {
    parameters_.push_back({"none", at::zeros({1})});
  }
  static model::ModelOptions of_points() {
    model::ModelOptions options;
    options.name = "MLP";
    options.input_channels = 2;
    options.classes = 0;
    return options;
  }
  at::Tensor velocity(const at::Tensor& x, const at::Tensor& t, const model::Condition&) override {
    return answer_(x, t).to(x.scalar_type());
  }
  at::Tensor forward_as_original(const at::Tensor& x, const at::Tensor& t, const model::Condition& c) override {
    return velocity(x, t, c);
  }
  const std::vector<model::NamedTensor>& parameters() const override { return parameters_; }
  const std::vector<model::NamedTensor>& buffers() const override { return none_; }
  const model::ModelOptions& options() const override { return options_; }
  void set_training(bool) override {}
  void set_parameter_gate(std::function<void(std::size_t)>) override {}
  void set_activation_checkpointing(std::int64_t) override {}

 private:
  Answer answer_;
  model::ModelOptions options_;
  std::vector<model::NamedTensor> parameters_, none_;
};

}  // namespace pathline::tests
