// SPDX-License-Identifier: Apache-2.0
// Networks of others as TorchScript files: decoders from latents to pixels, feature networks, classifiers.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <memory>
#include <string>
#include <utility>

namespace pathline::sampler {

class TorchScript {
 public:
  /// Throws ExitCode::kInput naming `path` if it cannot be loaded. In evaluation mode, on `device`.
  explicit TorchScript(const std::string& path, at::Device device = at::kCPU);
  ~TorchScript();
  TorchScript(TorchScript&&) noexcept;
  TorchScript& operator=(TorchScript&&) noexcept;

  /// forward(x), which must return one tensor; the result lies where x does. `return_features`: passes that as a
  /// keyword argument, as the Inception network of StyleGAN's metrics wants it. Throws ExitCode::kInput with what the
  /// network complains about. No gradients.
  at::Tensor forward(const at::Tensor& x, bool return_features = false) const;
  /// forward(x), which must return a tuple of two tensors. Else as forward(x).
  std::pair<at::Tensor, at::Tensor> forward_pair(const at::Tensor& x) const;
  /// forward(x, t) of samples and their times, which must return one tensor. Differentiable where gradients are on.
  /// Throws as forward() does.
  at::Tensor at_times(const at::Tensor& x, const at::Tensor& t) const;
  /// True if forward() knows an argument `return_features`.
  bool knows_return_features() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pathline::sampler
