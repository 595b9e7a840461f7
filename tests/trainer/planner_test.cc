// SPDX-License-Identifier: Apache-2.0
// Plans against what the engine allocates and writes on the ranks of this test, and against the formulas of the design.
#include "trainer/planner.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>

#include "cluster/whereabouts.h"
#include "core/config.h"
#include "tests/support/ranks.h"
#include "tests/trainer/runs.h"
#include "trainer/checkpoint_bridge.h"
#include "trainer/engine.h"
#include "trainer/training_step.h"

namespace pathline::trainer {
namespace {

constexpr char kRecipe[] =
    "[data]\npath = [\"none\"]\n[model]\nname = \"SiT\"\ninput_size = 8\ninput_channels = 3\nclasses = 4\npatch = 2\n"
    "hidden = 64\ndepth = 3\nheads = 2\n[train]\nbatch = 22\nslices = 11\nbucket_mb = 0.125\n"
    "[ema]\ndecays = [0.9, 0.99]\n";

Recipe recipe_of(const std::vector<std::string>& sets, const char* text = kRecipe) {
  core::Config config = core::Config::from_text(text, "test");
  for (const auto& set : sets) config.set(set);
  return read_recipe(config);
}

/// Without measuring anything.
PlanRequest request_for(int ranks, int per_node = 0) {
  PlanRequest request;
  request.ranks = ranks;
  request.ranks_per_node = per_node;
  request.flops_per_second = 1e12;
  request.memory_gbytes = 100;
  return request;
}

double total(const std::vector<MemoryUse>& memory) {
  double bytes = 0;
  for (const auto& use : memory) bytes += static_cast<double>(use.bytes);
  return bytes;
}

std::map<std::string, std::size_t> by_kind(const std::vector<MemoryUse>& memory) {
  std::map<std::string, std::size_t> kinds;
  for (const auto& use : memory) kinds[use.kind] += use.bytes;
  return kinds;
}

data::Batch batch_of(const Recipe& recipe, cluster::Communicator& ranks) {
  const auto own = own_samples(recipe.train, ranks);
  data::Batch batch;
  batch.first = static_cast<std::uint64_t>(own.first);
  batch.values.resize(static_cast<std::size_t>(own.size() * 3 * 8 * 8), 0.5f);
  batch.samples.resize(static_cast<std::size_t>(own.size()));
  batch.labels.resize(static_cast<std::size_t>(own.size()), 1);
  return batch;
}

/// The ledger of this rank after a step of the real engine.
std::vector<MemoryUse> ledger_after_a_step(const Recipe& recipe, cluster::Communicator& ranks) {
  data::SetInfo info;
  info.kind = data::ItemKind::kImage;
  info.height = info.width = 8;
  info.channels = 3;
  info.classes = 4;
  const auto model = model::make_model(recipe.model, 0);
  model->set_training(true);
  const Engine engine = make_engine(recipe, *model, ranks);
  const auto objective = make_objective(recipe.flow, 0, *model);
  cluster::Whereabouts where;
  TrainingStep step(recipe, *objective, *model, *engine.state, *engine.backend, info, ranks, where);
  data::Batch batch = batch_of(recipe, ranks);
  step(batch, 0, 0);
  engine.state->wait_for_all_parameters();
  auto memory = engine.state->memory();
  memory.push_back(step.memory());
  memory.push_back(
      {"checkpoint", StagedState(*engine.state, {}, ranks.rank(), recipe.checkpoint.background).staging_bytes()});
  return memory;
}

TEST(Planner, KnowsTheLedgerOfTheFullestRankToTheByte) {
  tests::each_rank([](cluster::Communicator& ranks) {
    const std::vector<std::vector<std::string>> variants = {
        {}, {"train.slices=22", "train.precision=\"bf16\""}, {"train.micro_batch=1"}, {"train.reduction=\"fastest\""}};
    for (const auto& sets : variants) {
      const Recipe recipe = recipe_of(sets);
      const Plan plan = make_plan(recipe, request_for(ranks.size()));
      const auto own = ledger_after_a_step(recipe, ranks);
      std::vector<double> fullest = {total(own)};
      ranks.all_reduce(fullest, cluster::Reduction::kMax);
      EXPECT_EQ(total(plan.memory), fullest[0]) << (sets.empty() ? "" : sets.front());
      if (ranks.rank() == plan.fullest_rank) {
        EXPECT_EQ(by_kind(plan.memory), by_kind(own));
      }
    }
  });
}

TEST(Planner, KnowsTheBucketsOfTheEngine) {
  tests::each_rank([](cluster::Communicator& ranks) {
    const Recipe recipe = recipe_of({});
    const auto model = model::make_model(recipe.model, 0);
    const Engine engine = make_engine(recipe, *model, ranks);
    std::vector<std::size_t> buckets;
    for (const auto& bucket : engine.state->layout().buckets) buckets.push_back(bucket.range.size());
    const Plan plan = make_plan(recipe, request_for(ranks.size()));
    EXPECT_EQ(plan.buckets, buckets);
    EXPECT_GT(buckets.size(), 2u);
  });
}

/// Tensors are exact; names and the manifest come on top: 200 bytes a tensor, kind and rank are plenty.
TEST(Planner, KnowsWhatACheckpointTakes) {
  tests::each_rank([](cluster::Communicator& ranks) {
    Runs runs(ranks, 100);
    runs.train("run", {"model.hidden=256", "train.steps=1"}, ranks);
    if (ranks.rank() != 0) return;
    const Recipe recipe =
        recipe_of({},
                  "[data]\npath = [\"none\"]\n[model]\nname = \"MLP\"\nhidden = 256\ninput_channels = 2\n"
                  "classes = 3\n[train]\nbatch = 28\nslices = 7\n[ema]\ndecays = [0.9]\n");
    const Plan plan = make_plan(recipe, request_for(ranks.size()));
    double data = 0, largest = 0;
    for (const auto& file : std::filesystem::directory_iterator(runs.directory("run") + "/checkpoints/step-1")) {
      if (file.path().extension() != ".safetensors") continue;
      data += static_cast<double>(file.file_size());
      largest = std::max(largest, static_cast<double>(file.file_size()));
    }
    const double names = 200.0 * 8 * 4 * ranks.size();
    EXPECT_GE(data, plan.checkpoint_bytes);
    EXPECT_LE(data, plan.checkpoint_bytes + names);
    EXPECT_GE(largest, plan.checkpoint_rank_bytes);
    EXPECT_LE(largest, plan.checkpoint_rank_bytes + names);
  });
}

const Recipe& dit_b(std::int64_t slices, std::vector<std::string> sets = {}) {
  static Recipe recipe;
  sets.push_back("checkpoint.background=false");  // the copy that is written beside training comes on top
  sets.push_back("train.slices=" + std::to_string(slices));
  recipe = recipe_of(sets,
                     "[data]\npath = [\"none\"]\n[model]\nname = \"DiT-B/2\"\ninput_size = 32\ninput_channels = 4\n"
                     "classes = 1000\n[train]\nbatch = 256\n[ema]\ndecays = [0.999, 0.9999]\n");
  return recipe;
}

/// Parameters + (1 + floor(log2(C / W))) gradient buffers + (masters, moments, averages) / W, fp32.
double formula(double parameters, int ranks, std::int64_t slices, double parameter_bytes, double shard_bytes) {
  const double buffers = 1 + std::floor(std::log2(static_cast<double>(slices) / ranks));
  return parameters * (parameter_bytes + 4 * buffers + shard_bytes / ranks);
}

/// A slice in one pass that merges at once needs no buffer of its own: the engine may take one less than the formula.
TEST(Planner, TakesAtMostTheMemoryOfTheDesign) {
  for (const int ranks : {1, 4}) {
    for (const std::int64_t slices : {8, 32}) {
      const Plan plan = make_plan(dit_b(slices), request_for(ranks));
      const auto parameters = static_cast<double>(plan.parameters);
      const double expected = formula(parameters, ranks, slices, 4, 16);
      EXPECT_LE(total(plan.memory), 1.05 * expected) << ranks << " ranks, " << slices << " slices";
      EXPECT_GE(total(plan.memory), expected - 4 * parameters) << ranks << " ranks, " << slices << " slices";
      const Plan in_passes =
          make_plan(dit_b(slices, {"train.micro_batch=1", "train.precision=\"bf16\""}), request_for(ranks));
      const double of_passes = formula(parameters, ranks, slices, 2, 20);
      EXPECT_NEAR(total(in_passes.memory), of_passes, 0.05 * of_passes) << ranks << " ranks, " << slices << " slices";
    }
  }
}

TEST(Planner, CountsAHierarchicalReductionBetweenNodes) {
  const Plan plan = make_plan(dit_b(64), request_for(64, 8));
  double elements = 0;
  for (const std::size_t bucket : plan.buckets) elements += static_cast<double>(bucket);
  EXPECT_EQ(plan.reduce.bytes_between_nodes, 4 * elements * (8 - 1));
  EXPECT_EQ(plan.gather.bytes_between_nodes, 4 * elements * (8 - 1));
  EXPECT_GT(plan.step.seconds, plan.step.compute_seconds);
}

TEST(Planner, RefusesMoreRanksThanSlices) {
  try {
    make_plan(dit_b(8), request_for(16));
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kUsage);
  }
}

}  // namespace
}  // namespace pathline::trainer
