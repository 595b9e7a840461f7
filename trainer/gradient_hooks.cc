// SPDX-License-Identifier: Apache-2.0
#include "trainer/gradient_hooks.h"

#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

namespace pathline::trainer {
namespace {

class TakeGradient final : public torch::autograd::PostAccumulateGradHook {
 public:
  TakeGradient(std::size_t index, const std::function<void(std::size_t, const at::Tensor&)>& take)
      : index_(index), take_(take) {}

  void operator()(const torch::autograd::Variable& parameter) override {
    take_(index_, parameter.grad());
    parameter.mutable_grad() = at::Tensor();
  }

 private:
  std::size_t index_;
  std::function<void(std::size_t, const at::Tensor&)> take_;
};

}  // namespace

GradientHooks::GradientHooks(const std::vector<model::NamedTensor>& parameters,
                             std::function<void(std::size_t, const at::Tensor&)> take) {
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    parameters_.push_back(parameters[i].tensor);
    torch::autograd::impl::set_post_acc_grad_hooks(parameters_.back(), std::make_unique<TakeGradient>(i, take));
  }
}

GradientHooks::~GradientHooks() {
  for (const auto& parameter : parameters_) torch::autograd::impl::set_post_acc_grad_hooks(parameter, nullptr);
}

}  // namespace pathline::trainer
