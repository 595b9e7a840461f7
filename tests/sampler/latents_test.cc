// SPDX-License-Identifier: Apache-2.0
#include "sampler/latents.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/from_blob.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/loader.h"
#include "sampler/sink.h"
#include "sampler/to_record.h"
#include "tests/support/temporary_directory.h"

namespace pathline::sampler {
namespace {

const data::LatentForm kForm{2, 2, {0.5, -1}, {0.125, 4}};

/// (2, 2, 3): quarters from -1.5 to 1.25.
at::Tensor sample() { return (at::arange(12, at::kFloat) - 6).view({2, 2, 3}) / 4; }

TEST(LatentOf, UndoesShiftAndScaleOfEachChannel) {
  const at::Tensor latent = latent_of(sample(), kForm);
  EXPECT_TRUE(at::equal(latent[0], sample()[0] * 8 + 0.5));
  EXPECT_TRUE(at::equal(latent[1], sample()[1] / 4 - 1));
  EXPECT_TRUE(at::equal(latent_of(sample(), {}), sample()));  // no model of latents
}

TEST(LatentOf, OfOtherSetsIsRefused) {
  EXPECT_NO_THROW(check_same_latents("a set", kForm, kForm));
  EXPECT_NO_THROW(check_same_latents("a set", {}, {}));
  const std::vector<std::pair<data::LatentForm, data::LatentForm>> others = {
      {kForm, {}}, {{}, kForm}, {kForm, {1, 1, {0.5, -1}, {0.125, 3}}}, {kForm, {1, 1, {0.5, 1}, {0.125, 4}}}};
  for (const auto& [held, trained] : others) {
    EXPECT_THROW(check_same_latents("a set", held, trained), core::Error);
  }
  EXPECT_NO_THROW(check_same_latents("a set", generated_form(kForm), kForm));  // flips and laws do not matter
}

SinkOptions set_of(const std::string& path) {
  SinkOptions options;
  options.path = path;
  options.count = 2;
  options.sample_shape = {2, 2, 3};
  options.latents = generated_form(kForm);
  return options;
}

TEST(LatentSets, GiveBackTheSamplesToWhoeverTrainsOnThem) {
  const tests::TemporaryDirectory directory;
  const std::string path = directory.path() + "/set.h5";
  const auto sink = make_sink(set_of(path));
  for (std::int64_t id = 0; id < 2; ++id) {
    Sample made;
    made.id = id;
    made.value = latent_of(sample() * static_cast<float>(id + 1), kForm);
    sink->put(to_latent_record(made));
  }
  sink->finish();
  const auto source = data::open_source({path});
  EXPECT_EQ(source->info().kind, data::ItemKind::kLatent);
  EXPECT_EQ(source->info().latents, generated_form(kForm));
  std::vector<std::byte> item(source->info().item_bytes());
  std::vector<float> values(source->info().item_values());
  for (std::int64_t id = 0; id < 2; ++id) {
    source->read(id, item);
    data::to_values(source->info(), item, /*mirrored=*/false, values);
    // every number here is a whole number of 1/16, exact in float16 and in both operations
    EXPECT_TRUE(at::equal(at::from_blob(values.data(), {2, 2, 3}, at::kFloat), sample() * static_cast<float>(id + 1)));
  }
}

TEST(LatentSets, AreRefusedByFormatsOfPictures) {
  const tests::TemporaryDirectory directory;
  for (const char* name : {"/a.npz", "/a.png", "/a.tar", "/a/"}) {
    EXPECT_THROW(make_sink(set_of(directory.path() + name)), core::Error);
  }
}

}  // namespace
}  // namespace pathline::sampler
