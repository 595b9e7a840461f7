// SPDX-License-Identifier: Apache-2.0
#include "sampler/torch_script.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <vector>

#include "core/error.h"

namespace pathline::sampler {
namespace {

using core::ExitCode;

/// The first line of what LibTorch says; the rest are places in its sources.
std::string first_line(const std::exception& error) {
  const std::string text = error.what();
  return text.substr(0, text.find('\n'));
}

}  // namespace

struct TorchScript::Impl {
  std::string path;
  at::Device device;
  torch::jit::Module module;

  c10::IValue answer(const std::vector<at::Tensor>& inputs, const torch::jit::Kwargs& options) {
    // As it is written from the first call on: graphs that are rewritten after a few calls would change bits then.
    const torch::jit::GraphOptimizerEnabledGuard as_written(false);
    std::vector<c10::IValue> there;
    for (const at::Tensor& input : inputs) there.emplace_back(input.to(device));
    return module.get_method("forward")(there, options);
  }

  [[noreturn]] void complain(const at::Tensor& input, const std::exception& error) const {
    throw core::Error(ExitCode::kInput,
                      core::concat("the network ", path, " fails on a tensor of shape ", input.sizes(), ": ",
                                   first_line(error), ". Look at what it expects."));
  }

  at::Tensor run(const std::vector<at::Tensor>& inputs, const torch::jit::Kwargs& options) {
    try {
      return answer(inputs, options).toTensor().to(inputs[0].device());
    } catch (const std::exception& error) {
      complain(inputs[0], error);
    }
  }
};

TorchScript::TorchScript(const std::string& path, at::Device device)
    : impl_(std::make_unique<Impl>(Impl{path, device, {}})) {
  try {
    impl_->module = torch::jit::load(path, device);
    impl_->module.eval();
  } catch (const std::exception& error) {
    throw core::Error(ExitCode::kInput, core::concat(path, " cannot be loaded as TorchScript: ", first_line(error),
                                                     ". Save the network with torch.jit.script(...).save(...)."));
  }
}

TorchScript::~TorchScript() = default;
TorchScript::TorchScript(TorchScript&&) noexcept = default;
TorchScript& TorchScript::operator=(TorchScript&&) noexcept = default;

bool TorchScript::knows_return_features() const {
  const auto& schema = impl_->module.get_method("forward").function().getSchema();
  return schema.argumentIndexWithName("return_features").has_value();
}

at::Tensor TorchScript::forward(const at::Tensor& x, bool return_features) const {
  const at::NoGradGuard no_grad;
  torch::jit::Kwargs options;
  if (return_features) options["return_features"] = true;
  return impl_->run({x}, options);
}

std::pair<at::Tensor, at::Tensor> TorchScript::forward_pair(const at::Tensor& x) const {
  const at::NoGradGuard no_grad;
  try {
    const auto answer = impl_->answer({x}, {}).toTuple();
    const auto& parts = answer->elements();
    PL_CHECK(parts.size() == 2, ExitCode::kInput, "it returns ", parts.size(), " tensors where two are wanted");
    return {parts[0].toTensor().to(x.device()), parts[1].toTensor().to(x.device())};
  } catch (const std::exception& error) {
    impl_->complain(x, error);
  }
}

at::Tensor TorchScript::at_times(const at::Tensor& x, const at::Tensor& t) const { return impl_->run({x, t}, {}); }

}  // namespace pathline::sampler
