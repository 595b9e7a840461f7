// SPDX-License-Identifier: Apache-2.0
#include "sampler/torch_script.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>

#include <memory>

#include "core/error.h"
#include "sampler/classifier_guidance.h"
#include "tests/support/temporary_directory.h"

namespace pathline::sampler {
namespace {

/// Three logits: time times the position along three directions.
constexpr char kLinear[] = R"(
def forward(self, x, t):
    return t.unsqueeze(1) * torch.tanh(x @ self.weight)
)";

at::Tensor weight() { return at::tensor({1.0f, -2.0f, 0.5f, 0.25f, 3.0f, -1.0f}).view({2, 3}); }

TorchScript network_of(const char* forward) {
  const tests::TemporaryDirectory directory;
  torch::jit::Module module("Network");
  module.register_buffer("weight", weight());
  module.define(forward);
  module.save(directory / "network.ts");
  return TorchScript(directory / "network.ts");
}

TEST(TorchScript, IsAClassifierWhoseGradientIsTheClosedForm) {
  const auto network = std::make_shared<TorchScript>(network_of(kLinear));
  const Field gradient =
      log_probability_gradient([network](const at::Tensor& x, const at::Tensor& t) { return network->at_times(x, t); });
  const at::Tensor x = at::arange(8, at::kFloat).view({4, 2}) / 8, t = at::tensor({0.1f, 0.4f, 0.7f, 1.0f});
  const at::Tensor labels = at::tensor({0, 2, 1, 1}, at::kLong);
  // d/dx log softmax_y = J^T (e_y - softmax), J the logits' derivatives.
  const at::Tensor squashed = x.matmul(weight()).tanh(), logits = t.unsqueeze(1) * squashed;
  at::Tensor off = -logits.softmax(1);
  for (std::int64_t row = 0; row < 4; ++row) off[row][labels[row].item<std::int64_t>()] += 1;
  const at::Tensor expected = (off * t.unsqueeze(1) * (1 - squashed * squashed)).matmul(weight().t());
  const at::Tensor first = gradient(x, t, labels);
  EXPECT_LT(at::abs(first - expected).max().item<float>(), 1e-6f);
  // LibTorch rewrites graphs that it has seen a few times.
  for (int call = 0; call < 5; ++call) EXPECT_TRUE(at::equal(gradient(x, t, labels), first)) << call;
}

TEST(TorchScript, SaysWhatItCannotDo) {
  const auto said = [](const auto& body) -> std::string {
    try {
      body();
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kInput);
      return error.what();
    }
    return "";
  };
  EXPECT_NE(said([] { TorchScript("/nowhere.ts"); }).find("/nowhere.ts"), std::string::npos);
  const TorchScript network = network_of(kLinear);
  EXPECT_NE(said([&] {
              network.at_times(at::full({1, 7}, 1.0), at::full({1}, 1.0));
            }).find("[1, 7]"),
            std::string::npos);
}

}  // namespace
}  // namespace pathline::sampler
