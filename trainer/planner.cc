// SPDX-License-Identifier: Apache-2.0
#include "trainer/planner.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <numeric>

#include "cluster/dry_run_communicator.h"
#include "model/flops.h"
#include "trainer/gradient_tree.h"
#include "trainer/run_setup.h"
#include "trainer/slice_benchmark.h"

namespace pathline::trainer {
namespace {

constexpr std::size_t kMasterBytes = 4;  // everything but the parameters of bf16 is fp32

std::size_t parameter_bytes(const TrainOptions& train) { return train.precision == "bf16" ? 2 : 4; }

/// The parameters' shapes without their memory.
std::vector<model::NamedTensor> shapes_of(const model::ModelOptions& options) {
  std::vector<model::NamedTensor> parameters;
  for (const auto& [name, shape] : model::parameter_table(options)) {
    parameters.push_back({name, at::empty(shape, at::TensorOptions().dtype(at::kFloat).device(at::kMeta))});
  }
  return parameters;
}

std::size_t moments(const OptimizerOptions& options) { return make_optimizer(options)->state_names().size(); }

/// Bytes that the update of one element reads and writes: gradient, masters, moments, averages, the rounded parameter.
double update_bytes(const Recipe& recipe) {
  return static_cast<double>(4 + 8 + 8 * moments(recipe.optimizer) + 8 * recipe.ema.decays.size() +
                             (recipe.train.precision == "bf16" ? 2 : 0));
}

/// Everything that is known of one rank without running it.
struct RankPlan {
  std::vector<MemoryUse> memory;
  cluster::RankExchange exchange;
  std::size_t own_elements = 0;  // with padding
  double checkpoint_bytes = 0;

  std::size_t memory_bytes() const {
    std::size_t sum = 0;
    for (const auto& use : memory) sum += use.bytes;
    return sum;
  }
};

RankPlan plan_rank(const Recipe& recipe, const FlatLayout& layout, const cluster::ExchangePlan& exchange, int rank) {
  RankPlan plan;
  plan.exchange = cluster::dry_run_exchange(exchange, rank);
  for (const cluster::Range& range : plan.exchange.own) plan.own_elements += range.size();
  std::size_t stored = 0;
  for (const FlatTensor& tensor : layout.tensors) stored += overlap(tensor, plan.exchange.own[tensor.bucket]).count;
  plan.checkpoint_bytes =
      static_cast<double>(stored * kMasterBytes * (1 + moments(recipe.optimizer) + recipe.ema.decays.size()));
  plan.memory = planned_memory(recipe, layout.elements, plan.own_elements,
                               gradient_buffers(plan.exchange.fold_plan, recipe.train.passes_per_slice()),
                               plan.exchange.staging_bytes);
  return plan;
}

std::vector<double> seconds_by_bucket(const std::vector<RankPlan>& ranks, const PlanRequest& request,
                                      std::vector<cluster::Traffic> cluster::RankExchange::*kind) {
  std::vector<double> seconds;
  for (std::size_t b = 0; b < (ranks.front().exchange.*kind).size(); ++b) {
    std::vector<cluster::Traffic> of_bucket;
    for (const RankPlan& rank : ranks) of_bucket.push_back((rank.exchange.*kind)[b]);
    seconds.push_back(exchange_seconds(of_bucket, request.ranks_per_node, request.network));
  }
  return seconds;
}

/// Rates that are not given are measured here.
void find_rates(const Recipe& recipe, const PlanRequest& request, Plan& plan) {
  plan.flops_per_second = request.flops_per_second;
  plan.memory_gbytes = request.memory_gbytes;
  if (plan.flops_per_second == 0) {
    const SliceBenchmark slice = benchmark_slice(recipe);
    plan.flops_per_second = slice.flops_per_second;
    plan.activation_bytes_estimate = slice.activation_bytes;
  }
  if (plan.memory_gbytes == 0) plan.memory_gbytes = measured_memory_rate() / 1e9;
}

StepPrediction predicted_step(const Recipe& recipe, const PlanRequest& request, const Plan& plan,
                              const std::vector<RankPlan>& ranks) {
  StepWork work;
  work.slices = plan.most_slices;
  work.slice_seconds = plan.flops_per_step / static_cast<double>(plan.slices) / plan.flops_per_second;
  work.buckets = plan.buckets;
  work.reduce = seconds_by_bucket(ranks, request, &cluster::RankExchange::reduce);
  work.gather = seconds_by_bucket(ranks, request, &cluster::RankExchange::gather);
  std::size_t most = 0;
  for (const RankPlan& rank : ranks) most = std::max(most, rank.own_elements);
  work.update_seconds = static_cast<double>(most) * update_bytes(recipe) / (plan.memory_gbytes * 1e9);
  return predict_step(work);
}

}  // namespace

Recipe recipe_to_plan(const RunRequest& request) {
  core::Config config = load_recipe(request);
  const bool has_data = config.has("data", "path");
  if (!has_data) config.set("data.path=[\"none\"]");
  Recipe recipe = read_recipe(config);
  if (recipe.model.input_channels > 0 && recipe.model.classes >= 0) return recipe;
  PL_CHECK(
      has_data, core::ExitCode::kUsage,
      "the recipe says neither data.path nor model.input_size, model.input_channels and model.classes (the size of "
      "the ",
      "network depends on them). Add --set model.input_size=32 --set model.input_channels=3 --set model.classes=10.");
  take_from_data(config, recipe,
                 Dataset(recipe.data, recipe.flow.pairing, static_cast<std::uint64_t>(recipe.run.seed)).info());
  return recipe;
}

std::vector<MemoryUse> planned_memory(const Recipe& recipe, std::size_t flat_elements, std::size_t own_elements,
                                      std::size_t gradient_buffers, std::size_t staging_bytes) {
  const std::size_t shard = own_elements * kMasterBytes;
  return {{"parameters", flat_elements * parameter_bytes(recipe.train)},
          {"masters", recipe.train.precision == "bf16" ? shard : 0},
          {"moments", shard * moments(recipe.optimizer)},
          {"averages", shard * recipe.ema.decays.size()},
          {"gradients", gradient_buffers * flat_elements * kMasterBytes},
          {"staging", staging_bytes},
          {"checkpoint",
           recipe.checkpoint.background ? shard * (1 + moments(recipe.optimizer) + recipe.ema.decays.size()) : 0}};
}

Plan make_plan(const Recipe& recipe, const PlanRequest& asked) {
  PlanRequest request = asked;
  if (request.ranks_per_node == 0) request.ranks_per_node = request.ranks;
  cluster::ExchangePlan exchange;
  exchange.hosts = cluster::hosts_of(request.ranks, request.ranks_per_node);
  check_ranks(recipe, request.ranks);
  const FlatLayout layout = flat_layout(shapes_of(recipe.model), recipe.train.bucket_elements());
  exchange.buckets = bucket_ranges(layout);
  exchange.slices = recipe.train.slices;
  exchange.fastest = recipe.train.reduction == "fastest";
  exchange.parameter_bytes = parameter_bytes(recipe.train);

  Plan plan;
  plan.ranks = request.ranks;
  plan.ranks_per_node = request.ranks_per_node;
  plan.slices = recipe.train.slices;
  plan.fewest_slices = recipe.train.slices / request.ranks;
  plan.most_slices = (recipe.train.slices + request.ranks - 1) / request.ranks;
  for (const FlatTensor& tensor : layout.tensors) plan.parameters += static_cast<std::int64_t>(tensor.elements);
  for (const Bucket& bucket : layout.buckets) plan.buckets.push_back(bucket.range.size());
  plan.flops_per_step = model::training_flops(recipe.model).total() * static_cast<double>(recipe.train.batch);

  std::vector<RankPlan> ranks;
  for (int rank = 0; rank < request.ranks; ++rank) {
    const RankPlan& own = ranks.emplace_back(plan_rank(recipe, layout, exchange, rank));
    if (own.memory_bytes() > ranks[static_cast<std::size_t>(plan.fullest_rank)].memory_bytes())
      plan.fullest_rank = rank;
    for (const auto& traffic : own.exchange.reduce) plan.reduce += traffic;
    for (const auto& traffic : own.exchange.gather) plan.gather += traffic;
    plan.checkpoint_bytes += own.checkpoint_bytes;
    plan.checkpoint_rank_bytes = std::max(plan.checkpoint_rank_bytes, own.checkpoint_bytes);
  }
  plan.memory = ranks[static_cast<std::size_t>(plan.fullest_rank)].memory;
  find_rates(recipe, request, plan);
  plan.step = predicted_step(recipe, request, plan, ranks);
  return plan;
}

}  // namespace pathline::trainer
