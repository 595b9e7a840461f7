// SPDX-License-Identifier: Apache-2.0
// A few steps of small networks on any number of ranks against the same steps on one rank.
#include "trainer/training_step.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <vector>

#include "cluster/self_communicator.h"
#include "core/random.h"
#include "model/recompute.h"
#include "tests/support/ranks.h"
#include "trainer/engine.h"
#include "trainer/host_backend.h"

namespace pathline::trainer {
namespace {

constexpr std::int64_t kSteps = 3;

Recipe recipe_of(const std::string& network, const std::string& precision) {
  Recipe recipe;
  recipe.model.name = network;
  recipe.model.input_size = 8;
  recipe.model.input_channels = 1;
  recipe.model.classes = 3;
  if (network == "DiT") {
    recipe.model.patch = 4;
    recipe.model.hidden = 32;
    recipe.model.depth = 3;
    recipe.model.heads = 2;
  } else {
    recipe.model.channels = 32;
    recipe.model.multipliers = {1, 2};
    recipe.model.blocks = 1;
    recipe.model.attention = {4};
    recipe.model.head_channels = 16;
    recipe.model.dropout = 0.1;
  }
  recipe.train.batch = 22;
  recipe.train.slices = 11;
  recipe.train.precision = precision;
  recipe.train.clip = 0.1;
  recipe.train.bucket_mb = 0.0625;
  recipe.optimizer.lr = 1e-2;
  recipe.ema.decays = {0.5, 0.9};
  recipe.log.norms_every_steps = 2;
  return recipe;
}

data::SetInfo pictures() {
  data::SetInfo info;
  info.kind = data::ItemKind::kImage;
  info.height = info.width = 8;
  info.channels = 1;
  info.classes = 3;
  return info;
}

data::Batch batch_of(const cluster::SliceRange& own, std::uint64_t position) {
  data::Batch batch;
  batch.position = position;
  batch.first = position + static_cast<std::uint64_t>(own.first);
  batch.values.resize(static_cast<std::size_t>(own.size()) * 64);
  for (std::int64_t i = 0; i < own.size(); ++i) {
    const auto sample = std::span(batch.values).subspan(static_cast<std::size_t>(i) * 64, 64);
    core::Draws(0, batch.first + static_cast<std::uint64_t>(i), core::Purpose::kMadeData).fill_normal(sample);
    batch.samples.push_back(i);
    batch.labels.push_back((own.first + i) % 3);
  }
  return batch;
}

/// What a run leaves: every kind of state of every element, and what it said of each step.
struct Outcome {
  std::vector<std::vector<float>> state;  // by kind, in the order of the flat buffer
  std::vector<double> said;
};

/// Everybody's parts in one flat buffer.
std::vector<float> whole(const NamedShard& shard, ShardedState& state, cluster::Communicator& ranks) {
  std::vector<double> all(state.layout().elements);  // fp64 holds every fp32 number, and x + 0 is x
  for (std::size_t b = 0; b < shard.parts.size(); ++b) {
    const cluster::Range own = state.exchange().map().own(b).range;
    const float* values = shard.parts[b].const_data_ptr<float>();
    std::copy_n(values, own.size(), all.begin() + static_cast<std::ptrdiff_t>(own.begin));
  }
  ranks.all_reduce(all, cluster::Reduction::kSum);
  return {all.begin(), all.end()};
}

Outcome trained(const Recipe& recipe, cluster::Communicator& ranks, const cluster::Levels& levels) {
  at::set_num_threads(1);  // threads a rank are part of the bits
  const auto model = model::make_model(recipe.model, 5);
  model->set_training(true);
  model->set_activation_checkpointing(model::parse_activation_checkpointing(recipe.train.activation_checkpointing));
  const auto backend = make_host_backend(ranks);
  ShardedState state(model->parameters(), recipe, *backend, ranks, levels);
  const auto objective = make_objective(recipe.flow, 5, *model);
  const data::SetInfo info = pictures();
  cluster::Whereabouts where;
  TrainingStep step(recipe, *objective, *model, state, *backend, info, ranks, where);
  Outcome outcome;
  for (std::int64_t n = 0; n < kSteps; ++n) {
    data::Batch batch = batch_of(own_samples(recipe.train, ranks), static_cast<std::uint64_t>(n * recipe.train.batch));
    const StepResult result = step(batch, n, n);
    EXPECT_FALSE(result.skipped);
    outcome.said.insert(outcome.said.end(), {result.loss, result.gradient_norm});
    EXPECT_EQ(result.block_norms.empty(), n % 2 != 0);
    for (const auto& [block, norm] : result.block_norms) outcome.said.push_back(norm);
  }
  state.wait_for_all_parameters();
  for (const auto& shard : state.shards()) outcome.state.push_back(whole(shard, state, ranks));
  return outcome;
}

Outcome trained(const Recipe& recipe, cluster::Communicator& ranks) {
  return trained(recipe, ranks, cluster::Levels{1, ranks.size()});
}

Outcome trained_alone(const Recipe& recipe) {
  const auto self = cluster::make_self_communicator();
  return trained(recipe, *self);
}

bool same_bits(const Outcome& a, const Outcome& b) {
  if (a.said != b.said || a.state.size() != b.state.size()) return false;
  for (std::size_t k = 0; k < a.state.size(); ++k) {
    if (a.state[k].size() != b.state[k].size()) return false;
    if (std::memcmp(a.state[k].data(), b.state[k].data(), a.state[k].size() * sizeof(float)) != 0) return false;
  }
  return true;
}

void expect_bits(const Recipe& recipe, const Outcome& expected) {
  tests::each_rank([&](cluster::Communicator& ranks) {
    EXPECT_TRUE(same_bits(trained(recipe, ranks), expected)) << recipe.model.name << " " << recipe.train.precision;
  });
}

TEST(TrainingStep, GivesOneRanksBitsInAnyPrecision) {
  for (const std::string network : {"DiT", "UNet"}) {
    for (const std::string precision : {"fp32", "bf16"}) {
      const Recipe recipe = recipe_of(network, precision);
      expect_bits(recipe, trained_alone(recipe));
    }
  }
}

TEST(TrainingStep, GivesTheSameBitsWithActivationCheckpointing) {
  for (const std::string network : {"DiT", "UNet"}) {
    Recipe recipe = recipe_of(network, "bf16");
    const Outcome plain = trained_alone(recipe);
    recipe.train.activation_checkpointing = "every:2";
    expect_bits(recipe, plain);
  }
}

TEST(TrainingStep, GivesOneRanksBitsInMicroBatches) {
  Recipe recipe = recipe_of("DiT", "fp32");
  recipe.train.micro_batch = 1;
  expect_bits(recipe, trained_alone(recipe));
}

TEST(TrainingStep, GivesOneRanksBitsOnTwoLevels) {
  const Recipe recipe = recipe_of("DiT", "bf16");
  const Outcome alone = trained_alone(recipe);
  tests::each_rank([&](cluster::Communicator& ranks) {
    if (ranks.size() != 4) return;  // the only number here that makes two hosts of two
    EXPECT_TRUE(same_bits(trained(recipe, ranks, cluster::Levels{2, 2}), alone));
  });
}

TEST(TrainingStep, TheFastestReductionDiffersByRoundingAlone) {
  Recipe recipe = recipe_of("DiT", "fp32");
  const Outcome tree = trained_alone(recipe);
  recipe.train.reduction = "fastest";
  tests::each_rank([&](cluster::Communicator& ranks) {
    const Outcome fastest = trained(recipe, ranks);
    // The first step starts from the same weights: its norm differs by the rounding of eleven additions.
    EXPECT_NEAR(fastest.said[1], tree.said[1], 1e-5 * tree.said[1]);
    EXPECT_EQ(fastest.said[0], tree.said[0]);  // losses take the tree in any case
  });
}

TEST(TrainingStep, NormsOfBlocksAreThoseOfTheirTensors) {
  tests::each_rank([](cluster::Communicator& ranks) {
    Recipe recipe = recipe_of("DiT", "bf16");
    recipe.log.norms_every_steps = 1;
    const auto model = model::make_model(recipe.model, 5);
    const auto backend = make_host_backend(ranks);
    ShardedState state(model->parameters(), recipe, *backend, ranks, cluster::Levels{1, ranks.size()});
    const auto objective = make_objective(recipe.flow, 5, *model);
    const data::SetInfo info = pictures();
    cluster::Whereabouts where;
    TrainingStep step(recipe, *objective, *model, state, *backend, info, ranks, where);
    const std::vector<float> before = whole(state.shards().front(), state, ranks);
    data::Batch batch = batch_of(own_samples(recipe.train, ranks), 0);
    const StepResult result = step(batch, 1, 0);
    state.wait_for_all_parameters();
    const std::vector<float> after = whole(state.shards().front(), state, ranks);
    std::map<std::string, double> squares;  // of the change, the plain way
    for (const FlatTensor& tensor : state.layout().tensors) {
      for (std::size_t i = tensor.offset; i < tensor.offset + tensor.elements; ++i) {
        const double change = static_cast<double>(after[i]) - before[i];
        squares[block_of(tensor.name)] += change * change;
      }
    }
    double gradient = 0;
    for (const auto& [block, square] : squares) {
      // fp32 differences against exact ones: relative 1e-7 an element where the change is not tiny
      EXPECT_NEAR(result.block_norms.at("update_norm/" + block), std::sqrt(square), 1e-5 * std::sqrt(square)) << block;
      gradient += std::pow(result.block_norms.at("gradient_norm/" + block), 2);
    }
    EXPECT_EQ(result.block_norms.size(), 2 * squares.size());
    EXPECT_TRUE(squares.contains("blocks.2"));
    EXPECT_NEAR(std::sqrt(gradient), result.gradient_norm, 1e-12 * result.gradient_norm);
  });
}

TEST(TrainingStep, TakesNoMoreGradientBuffersThanTheTreeIsHigh) {
  for (const std::int64_t slices : {1, 2, 8, 32}) {
    for (int world = 1; world <= slices; world *= 2) {
      std::size_t limit = 1;  // 1 + floor(log2(slices / world))
      for (std::int64_t own = slices / world; own > 1; own /= 2) ++limit;
      for (int rank = 0; rank < world; ++rank) {
        const auto plan = cluster::fold_plan(cluster::slices_of(rank, world, slices), slices);
        EXPECT_EQ(gradient_buffers(plan, 2), limit);
        EXPECT_EQ(gradient_buffers(plan, 1), std::max<std::size_t>(1, limit - 1));
      }
    }
  }
}

TEST(TrainingStep, KeepsAShareOfMastersMomentsAndAverages) {
  tests::each_rank([](cluster::Communicator& ranks) {
    const Recipe recipe = recipe_of("DiT", "bf16");
    const auto model = model::make_model(recipe.model, 5);
    const auto backend = make_host_backend(ranks);
    ShardedState state(model->parameters(), recipe, *backend, ranks, cluster::Levels{1, ranks.size()});
    const std::size_t all = state.layout().elements, own = state.exchange().map().own_elements();
    std::int64_t sum = static_cast<std::int64_t>(own);
    ranks.all_reduce(std::span(&sum, 1), cluster::Reduction::kSum);
    EXPECT_EQ(static_cast<std::size_t>(sum), all);
    std::map<std::string, std::size_t> bytes;
    for (const auto& use : state.memory()) bytes[use.kind] = use.bytes;
    EXPECT_EQ(bytes["parameters"], 2 * all);
    EXPECT_EQ(bytes["masters"], 4 * own);
    EXPECT_EQ(bytes["moments"], 8 * own);
    EXPECT_EQ(bytes["averages"], 8 * own);
  });
}

}  // namespace
}  // namespace pathline::trainer
