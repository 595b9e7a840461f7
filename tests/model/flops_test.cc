// SPDX-License-Identifier: Apache-2.0
#include "model/flops.h"

#include <gtest/gtest.h>

namespace pathline::model {
namespace {

ModelOptions named(const std::string& name, std::int64_t size, std::int64_t channels, std::int64_t classes) {
  ModelOptions options;
  options.name = name;
  options.input_size = size;
  options.input_channels = channels;
  options.classes = classes;
  return with_named_fields(options);
}

ModelOptions latent_transformer(const std::string& name) {
  ModelOptions options = named(name, 32, 4, 1000);
  options.learn_sigma = true;
  return options;
}

// Counted with torch 2.13's FlopCounterMode (attention by plain products) over one forward pass of one sample of
// SiT/models.py, LightningDiT/models, torchcfm's UNetModelWrapper and torchcfm's MLP.
TEST(Flops, AreWhatTorchCountsInTheOriginals) {
  EXPECT_EQ(forward_flops(latent_transformer("SiT-S/2")).total(), 12111347712);
  EXPECT_EQ(forward_flops(latent_transformer("SiT-B/2")).total(), 46010204160);
  EXPECT_EQ(forward_flops(latent_transformer("SiT-L/2")).total(), 161395245056);
  EXPECT_EQ(forward_flops(latent_transformer("SiT-XL/2")).total(), 237242843136);
  EXPECT_EQ(forward_flops(named("LightningDiT-B/1", 16, 32, 1000)).total(), 46016495616);
  EXPECT_EQ(forward_flops(named("UNet-cifar10", 32, 3, 0)).total(), 12443713536);
  ModelOptions adm = named("ADM-64", 64, 3, 1000);
  adm.learn_sigma = true;
  EXPECT_EQ(forward_flops(adm).total(), 219356037120);
  ModelOptions mlp = named("MLP", 0, 2, 0);
  mlp.hidden = 64;
  mlp.depth = 3;
  EXPECT_EQ(forward_flops(mlp).total(), 17024);
}

// Peebles and Xie, "Scalable diffusion models with transformers", table 4: multiply-adds ("Gflops"), given to two
// places.
TEST(Flops, AreThePublishedOnesOfDiT) {
  const std::pair<const char*, double> published[] = {{"DiT-S/2", 6.06},    {"DiT-B/2", 23.01}, {"DiT-L/2", 80.71},
                                                      {"DiT-XL/2", 118.64}, {"DiT-S/4", 1.41},  {"DiT-B/4", 5.56},
                                                      {"DiT-L/4", 19.70},   {"DiT-XL/4", 29.05}};
  for (const auto& [name, giga] : published) {
    EXPECT_NEAR(forward_flops(latent_transformer(name)).total() / 2e9, giga, 0.003 * giga + 0.005) << name;
  }
}

TEST(Flops, AreSplitByKind) {
  const Flops unet = forward_flops(named("UNet-cifar10", 32, 3, 0));
  EXPECT_EQ(unet.attention, 335806464);  // torch's count of batched products
  const Flops dit = forward_flops(latent_transformer("SiT-S/2"));
  EXPECT_EQ(dit.attention, 12 * 4.0 * 256 * 256 * 384);
  EXPECT_EQ(dit.modulation, 12 * 2.0 * 384 * 6 * 384 + 2.0 * 384 * 2 * 384);
  EXPECT_EQ(dit.convolution, 0);
}

TEST(Flops, OfTrainingAreThreeForwardPasses) {
  const ModelOptions options = named("UNet-cifar10", 32, 3, 10);
  EXPECT_EQ(training_flops(options).total(), 3 * forward_flops(options).total());
}

}  // namespace
}  // namespace pathline::model
