// SPDX-License-Identifier: Apache-2.0
// Weights out of and into checkpoints as files of other tools.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "apps/checkpoint/reports.h"
#include "apps/checkpoint/weights_file.h"
#include "checkpoint/checkpoint.h"
#include "cluster/thread_communicator.h"
#include "core/error.h"
#include "core/safetensors.h"
#include "tests/checkpoint/checkpoint_fixture.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/temporary_directory.h"

namespace pathline::checkpoint {
namespace {

using tests::MemoryFileSystem;

/// Masters, two EMAs and a buffer, as the trainer writes them.
Sample trained_sample() {
  Sample sample(9, {{"master", "b.weight", {30, 4}},
                    {"master", "a.bias", {7}},
                    {"ema-0.9999", "b.weight", {30, 4}},
                    {"ema-0.9999", "a.bias", {7}},
                    {"ema-0.99", "b.weight", {30, 4}},
                    {"ema-0.99", "a.bias", {7}},
                    {"buffer", "pos_embed", {1, 3}}});
  sample.state.recipe =
      "[run]\ndirectory = \"here\"\n\n[model]\nname = \"DiT\"\npatch = 4\n\n[flow]\npath = \"linear\"\n";
  return sample;
}

void save_on_ranks(core::FileSystem& files, const Sample& sample, int ranks) {
  cluster::run_on_threads(ranks, [&](cluster::Communicator& all) {
    save(files, "/run/checkpoints", sample.state, sample.tensors, sample.segments(all.rank(), ranks, 8), 1,
         collectives_of(all));
  });
}

TEST(Export, TheFileIsTheSameWhoeverWroteTheCheckpoint) {
  const Sample sample = trained_sample();
  std::string first;
  for (int ranks = 1; ranks <= 5; ++ranks) {
    MemoryFileSystem files;
    save_on_ranks(files, sample, ranks);
    apps::export_weights(files, Reader(files, "/run/checkpoints/step-9"), "ema-0.9999", "/w.safetensors");
    const std::string text = core::read_text(files, "/w.safetensors");
    if (ranks == 1) first = text;
    EXPECT_EQ(text, first) << ranks << " ranks";
  }
}

TEST(Export, HoldsTheChosenWeightsAndBuffersInTheModelsOrder) {
  const Sample sample = trained_sample();
  MemoryFileSystem files;
  save_on_ranks(files, sample, 3);
  const Reader reader(files, "/run/checkpoints/step-9");
  for (const auto& [ema, first] :
       {std::pair<std::string, std::size_t>{"", 2}, {"0.9999", 2}, {"0.99", 4}, {"none", 0}}) {
    apps::export_weights(files, reader, apps::kind_of_ema(reader, ema), "/w.safetensors");
    const auto header = core::read_safetensors_header(files, "/w.safetensors");
    ASSERT_EQ(header.tensors.size(), 3u);
    const std::vector<std::size_t> sources = {first, first + 1, 6};
    for (std::size_t i = 0; i < 3; ++i) {
      const auto& entry = header.tensors[i];
      EXPECT_EQ(entry.name, sample.tensors[sources[i]].name);
      EXPECT_EQ(entry.shape, sample.tensors[sources[i]].shape);
      EXPECT_EQ(entry.dtype, "F32");
      std::vector<std::byte> bytes(entry.end - entry.begin);
      files.read("/w.safetensors", entry.begin, bytes);
      EXPECT_EQ(bytes, sample.bytes[sources[i]]) << ema << " " << entry.name;
    }
    EXPECT_EQ(header.metadata.at("pathline_model"), "name = \"DiT\"\npatch = 4\n");
  }
  EXPECT_THROW(apps::kind_of_ema(reader, "0.5"), core::Error);
}

TEST(Export, DamagedWeightsAreNotExported) {
  MemoryFileSystem files;
  save_on_ranks(files, trained_sample(), 1);
  files.bytes("/run/checkpoints/step-9/rank-0.safetensors").back() ^= std::byte{1};
  const Reader reader(files, "/run/checkpoints/step-9");
  EXPECT_THROW(apps::export_weights(files, reader, "master", "/w.safetensors"), core::Error);
  EXPECT_FALSE(files.exists("/w.safetensors"));
}

class Import : public ::testing::Test {
 protected:
  Import() {
    core::replace_file(files_, recipe_, "[model]\nname = \"SiT\"\n\n[train]\nsteps = 10\n");
    const std::vector<std::byte> content(12, std::byte{7});
    const auto file = files_.create(weights_);
    core::write_safetensors(*file, std::vector<core::TensorBytes>{{"w", "F32", {3}, content}}, {});
    file->close();
  }

  tests::TemporaryDirectory directory_;
  core::PosixFileSystem files_;
  std::string recipe_ = directory_ / "r.toml", weights_ = directory_ / "w.safetensors", run_ = directory_ / "run";
};

TEST_F(Import, MakesARecipeThatStartsFromACopy) {
  const std::string path = apps::import_weights(files_, weights_, recipe_, "repa", run_);
  EXPECT_EQ(path, run_ + "/recipe.toml");
  EXPECT_EQ(core::read_text(files_, run_ + "/init.safetensors"), core::read_text(files_, weights_));
  const std::string text = core::read_text(files_, path);
  for (const std::string part : {"name = 'SiT'", "steps = 10", "time_input = 'flow-reversed'"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  }
  EXPECT_NE(text.find("init = '" + run_ + "/init.safetensors'"), std::string::npos) << text;
  EXPECT_NE(text.find("directory = '" + run_ + "'"), std::string::npos) << text;
}

// Stable Diffusion 3's files hold an autoencoder, too, and its velocity goes from data to noise.
TEST_F(Import, TakesTheNetworkOutOfStableDiffusionAndTurnsItsVelocity) {
  const std::vector<std::uint16_t> numbers = {0x3c00, 0xc500, 0x0000};  // F16: 1, -5, 0
  const auto bytes = std::as_bytes(std::span(numbers));
  const std::string network = "model.diffusion_model.";
  const auto file = files_.create(weights_);
  core::write_safetensors(*file,
                          std::vector<core::TensorBytes>{{"first_stage_model.w", "F16", {3}, bytes},
                                                         {network + "final_layer.linear.bias", "F16", {3}, bytes},
                                                         {network + "x_embedder.proj.bias", "F16", {3}, bytes}},
                          {});
  file->close();
  apps::import_weights(files_, weights_, recipe_, "sd3", run_);
  const std::string copy = run_ + "/init.safetensors";
  const auto header = core::read_safetensors_header(files_, copy);
  ASSERT_EQ(header.tensors.size(), 2u);
  const std::vector<std::uint16_t> expected[] = {{0xbc00, 0x4500, 0x8000}, numbers};
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(header.tensors[i].name, i == 0 ? "final_layer.linear.bias" : "x_embedder.proj.bias");
    std::vector<std::uint16_t> found(3);
    files_.read(copy, header.tensors[i].begin, std::as_writable_bytes(std::span(found)));
    EXPECT_EQ(found, expected[i]);
  }
  EXPECT_NE(core::read_text(files_, run_ + "/recipe.toml").find("time_input = 'x1000'"), std::string::npos);
}

TEST_F(Import, RefusesARunWithCheckpointsAndWhatIsNoWeightsFile) {
  EXPECT_THROW(apps::import_weights(files_, recipe_, recipe_, "", run_), core::Error);
  EXPECT_THROW(apps::import_weights(files_, weights_, recipe_, "sti", run_), core::Error);
  EXPECT_FALSE(files_.exists(run_));
  save_alone(files_, run_ + "/checkpoints", small_sample(1));
  EXPECT_THROW(apps::import_weights(files_, weights_, recipe_, "", run_), core::Error);
}

TEST(Reports, NameWhatIsDamagedAndWhatIsLatest) {
  MemoryFileSystem files;
  save_alone(files, "/run/checkpoints", small_sample(1));
  Sample second = small_sample(2);
  second.state.recipe = "[checkpoint]\nbest_metric = \"loss\"\n";
  second.state.metrics["loss"] = 0.25;
  save_alone(files, "/run/checkpoints", second);
  files.bytes("/run/checkpoints/step-1/rank-0.safetensors").back() ^= std::byte{1};
  const auto all = apps::checkpoints_at(files, "/run");
  ASSERT_EQ(all.size(), 2u);
  const auto problems = apps::problems_of(files, all[0]);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_NE(problems[0].find("rank-0.safetensors: piece 0 "), std::string::npos);
  EXPECT_NE(problems[0].find("ema-0.999/w [0, 35)"), std::string::npos);
  EXPECT_TRUE(apps::problems_of(files, all[1]).empty());
  EXPECT_NE(apps::list_table(all).find("/run/checkpoints/step-2  (latest)"), std::string::npos);
  EXPECT_THROW(apps::checkpoints_at(files, "/nowhere"), core::Error);
  const auto by = apps::best_by(files, all);
  EXPECT_EQ(by.metric, "loss");
  EXPECT_NE(apps::list_table(all, by).find("/run/checkpoints/step-1  (best loss, 0.1)\n"), std::string::npos);
  EXPECT_EQ(apps::list_table(all, {"held_out_loss", BestBy::Mode::kMin}).find("best"), std::string::npos);
}

}  // namespace
}  // namespace pathline::checkpoint
