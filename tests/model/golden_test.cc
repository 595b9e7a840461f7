// SPDX-License-Identifier: Apache-2.0
// Forward passes against the original code's outputs (golden/*.npz, written by scripts/model_parity.py --golden).
#include <gtest/gtest.h>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <cstring>

#include "data/npz.h"
#include "tests/model/support.h"

namespace pathline {
namespace {

at::Tensor tensor_of(const data::NpyArray& array, at::ScalarType type) {
  at::Tensor tensor = at::empty(array.shape, type);
  std::memcpy(tensor.mutable_data_ptr(), array.bytes.data(), array.bytes.size());
  return tensor;
}

/// Largest difference as a share of the largest output.
double difference_from_original(const std::string& name, const model::ModelOptions& options) {
  core::PosixFileSystem files;
  const data::NpzReader golden(files, std::string(PATHLINE_GOLDEN) + "/" + name + ".npz");
  const auto network = model::make_model(options, 1);
  tests::set_formula_weights(*network);
  model::Condition condition;
  if (golden.has("y")) condition.labels = tensor_of(golden.read("y"), at::kLong);
  if (golden.has("text")) {
    condition.text = tensor_of(golden.read("text"), at::kFloat);
    condition.pooled = tensor_of(golden.read("pooled"), at::kFloat);
  }
  const at::NoGradGuard no_grad;
  const at::Tensor ours = network->forward_as_original(tensor_of(golden.read("x"), at::kFloat),
                                                       tensor_of(golden.read("t"), at::kFloat), condition);
  const at::Tensor theirs = tensor_of(golden.read("v"), at::kFloat);
  EXPECT_EQ(ours.sizes(), theirs.sizes());
  return ((ours - theirs).abs().max() / theirs.abs().max()).item<double>();
}

// fp32 sums in another order: the differences measured are below 1e-6.
constexpr double kRounding = 1e-5;

TEST(Originals, SitIsReproduced) { EXPECT_LT(difference_from_original("sit", tests::tiny_transformer()), kRounding); }

TEST(Originals, SitWithNormedQueriesAndKeysIsReproduced) {
  model::ModelOptions options = tests::tiny_transformer();
  options.qk_norm = true;
  EXPECT_LT(difference_from_original("sit_qk_norm", options), kRounding);
}

TEST(Originals, LightningDitIsReproduced) {
  model::ModelOptions options = tests::tiny_transformer();
  options.norm = "rms";
  options.feed_forward = "swiglu";
  options.rope = options.qk_norm = true;
  EXPECT_LT(difference_from_original("lightning", options), kRounding);
}

TEST(Originals, DitWithLearnedSigmaIsReproduced) {
  model::ModelOptions options = tests::tiny_transformer();
  options.name = "DiT";
  options.patch = 4;
  options.learn_sigma = true;
  EXPECT_LT(difference_from_original("dit", options), kRounding);
}

TEST(Originals, UnetWithLegacyAttentionIsReproduced) {
  EXPECT_LT(difference_from_original("unet_legacy", tests::tiny_unet()), kRounding);
}

TEST(Originals, UnetThatChangesSizeWithoutParametersIsReproduced) {
  model::ModelOptions options = tests::tiny_unet();
  options.conv_resample = false;
  EXPECT_LT(difference_from_original("unet_plain_resize", options), kRounding);
}

TEST(Originals, UnetOfAdmIsReproduced) {
  model::ModelOptions options = tests::tiny_unet();
  options.classes = 0;
  options.head_channels = 16;
  options.learn_sigma = true;
  options.scale_shift_norm = true;
  options.resblock_updown = true;
  options.attention_order = "new";
  EXPECT_LT(difference_from_original("unet_new", options), kRounding);
}

TEST(Originals, MmDitIsReproduced) { EXPECT_LT(difference_from_original("mm_dit", tests::tiny_mm_dit()), kRounding); }

TEST(Originals, MmDitWithNormedQueriesAndKeysIsReproduced) {
  model::ModelOptions options = tests::tiny_mm_dit();
  options.qk_norm = true;
  EXPECT_LT(difference_from_original("mm_dit_qk_norm", options), kRounding);
}

TEST(Originals, MlpIsReproduced) {
  model::ModelOptions options;
  options.name = "MLP";
  options.input_channels = 2;
  options.classes = 0;
  options.hidden = 32;
  options.depth = 3;
  EXPECT_LT(difference_from_original("mlp", options), kRounding);
}

}  // namespace
}  // namespace pathline
