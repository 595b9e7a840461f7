// SPDX-License-Identifier: Apache-2.0
// Note [Why slices]: the shape of a matrix product decides how its sums are cut up, so a gradient computed from 32
// samples at once differs in its last bits from the sum of two computed from 16. The global batch is therefore always
// computed as the same slices (each in the same micro-batches), wherever they run, and their gradients and losses are
// combined along one fixed tree. Any number of ranks then gives the same bits.
#include "trainer/training_step.h"

#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/progress.h"
#include "trainer/schedule.h"

namespace pathline::trainer {
namespace {

cluster::SliceRange own_slices(const TrainOptions& train, const cluster::Communicator& ranks) {
  return cluster::slices_of(ranks.rank(), ranks.size(), train.slices);
}

const TwoPartObjective& two_parts(const Objective& objective) {
  const auto* parts = dynamic_cast<const TwoPartObjective*>(&objective);
  PL_CHECK(parts != nullptr, core::ExitCode::kUsage,
           "train.cuda_graph = true, but this objective draws random numbers ",
           "while it computes (a captured pass would repeat them). Leave it away.");
  return *parts;
}

double clip_scale(double clip, double norm) { return clip > 0 && norm > clip ? clip / norm : 1.0; }

std::vector<double> values_of(const std::vector<at::Tensor>& scalars) {
  const at::Tensor all = at::stack(scalars).to(at::kCPU);
  return {all.const_data_ptr<double>(), all.const_data_ptr<double>() + all.numel()};
}

}  // namespace

cluster::SliceRange own_samples(const TrainOptions& train, const cluster::Communicator& ranks) {
  const std::int64_t size = train.batch / train.slices;
  const cluster::SliceRange slices = own_slices(train, ranks);
  return {slices.first * size, slices.last * size};
}

TrainingStep::TrainingStep(const Recipe& recipe, const Objective& objective, model::Module& model, ShardedState& state,
                           Backend& backend, const data::SetInfo& info, cluster::Communicator& ranks,
                           cluster::Whereabouts& where)
    : recipe_(recipe),
      objective_(objective),
      model_(model),
      state_(state),
      backend_(backend),
      info_(info),
      ranks_(ranks),
      where_(where),
      gradients_(backend, state.layout(), state.exchange().fold_plan(own_slices(recipe.train, ranks)),
                 recipe.train.passes_per_slice(), [this](std::size_t bucket) { bucket_done(bucket); }),
      hooks_(model.parameters(),
             [this, last = model.parameters().size() - 1](std::size_t parameter, const at::Tensor& gradient) {
               gradients_.take(last - parameter, gradient);
             }),
      scalars_(ranks, state.exchange().map(), recipe.train.slices),
      norms_(state, ranks) {
  if (recipe.train.cuda_graph) {
    graph_ = make_slice_graph(two_parts(objective), model, 1.0 / static_cast<double>(recipe.train.batch));
  }
  model_.set_parameter_gate([this](std::size_t count) {
    where_.waiting(cluster::Phase::kGather, [&] { state_.wait_for_parameters(count); });
  });
}

TrainingStep::~TrainingStep() { model_.set_parameter_gate({}); }

StepResult TrainingStep::operator()(data::Batch& batch, std::int64_t step, std::int64_t optimizer_step) {
  StepResult result;
  const double start = core::monotonic_seconds();
  where_.enter(cluster::Phase::kCompute, step);
  const std::vector<double> losses = accumulate(batch);

  const double computed = core::monotonic_seconds();
  where_.enter(cluster::Phase::kReduce, step);
  state_.exchange().finish_reductions();
  where_.next_collective();
  const StepScalars::Result agreed = scalars_.agree(losses, state_.exchange().own_squares());
  result.loss = agreed.loss_sum / static_cast<double>(recipe_.train.batch);
  result.gradient_norm = agreed.gradient_norm;

  const double reduced = core::monotonic_seconds();
  where_.enter(cluster::Phase::kUpdate, step);
  result.skipped = !std::isfinite(result.loss) || !std::isfinite(result.gradient_norm);
  if (!result.skipped) update(result, step, optimizer_step);
  result.learning_rate = lr_at(recipe_.optimizer, optimizer_step);
  result.compute_seconds = computed - start;
  result.reduce_seconds = reduced - computed;
  result.update_seconds = core::monotonic_seconds() - reduced;
  note_exchange(result);
  return result;
}

void TrainingStep::update(StepResult& result, std::int64_t step, std::int64_t optimizer_step) {
  const std::int64_t every = recipe_.log.norms_every_steps;
  const bool norms = every > 0 && step % every == 0;
  const at::Tensor& gradient = gradients_.partials().front();
  if (norms) norms_.before_update(gradient);
  state_.update(optimizer_step, gradient, clip_scale(recipe_.train.clip, result.gradient_norm));
  if (norms) result.block_norms = norms_.after_update();
}

void TrainingStep::note_exchange(StepResult& result) {
  const double busy = state_.exchange().busy_seconds(), exposed = state_.exchange().exposed_seconds();
  result.exchange_exposed_seconds = exposed - exposed_before_;
  result.exchange_hidden_seconds = std::max(0.0, busy - busy_before_ - result.exchange_exposed_seconds);
  busy_before_ = busy;
  exposed_before_ = exposed;
}

std::vector<double> TrainingStep::accumulate(data::Batch& batch) {
  const std::int64_t slices = own_slices(recipe_.train, ranks_).size();
  const std::int64_t passes = recipe_.train.passes_per_slice(),
                     size = recipe_.train.batch / recipe_.train.slices / passes;
  const at::Tensor share = at::scalar_tensor(1.0 / static_cast<double>(recipe_.train.batch),
                                             at::TensorOptions().dtype(at::kFloat).device(backend_.device()));
  std::vector<at::Tensor> losses;  // of each own slice, still on the device
  gradients_.start_step();
  bucket_ready_.assign(state_.layout().buckets.size(), false);
  next_bucket_ = 0;
  for (std::int64_t number = 0; number < slices * passes; ++number) {
    gradients_.start_pass();
    const Slice samples = samples_of(batch, info_, number * size, size, backend_.device());
    const at::Tensor per_sample = graph_ ? replay(samples) : objective_.loss_per_sample(samples);
    if (!graph_) per_sample.sum().backward(share);  // sum over samples / batch, never a mean of means
    const at::Tensor loss = per_sample.detach().to(at::kDouble).sum();
    if (number % passes == 0)
      losses.push_back(loss);
    else
      losses.back().add_(loss);
    gradients_.end_pass();
    where_.progress();
  }
  PL_ASSERT(next_bucket_ == bucket_ready_.size());
  return values_of(losses);
}

/// A captured pass hands over its gradients when all of them are there.
at::Tensor TrainingStep::replay(const Slice& samples) {
  state_.wait_for_all_parameters();
  const at::Tensor losses = graph_->run(two_parts(objective_).question(samples));
  const std::vector<at::Tensor>& gradients = graph_->gradients();
  for (std::size_t i = gradients.size(); i-- > 0;) {
    if (gradients[i].defined()) gradients_.take(gradients.size() - 1 - i, gradients[i]);
  }
  return losses;
}

/// Reductions start in the order of buckets, whatever autograd does: ranks must not disagree.
void TrainingStep::bucket_done(std::size_t bucket) {
  bucket_ready_[bucket] = true;
  for (; next_bucket_ < bucket_ready_.size() && bucket_ready_[next_bucket_]; ++next_bucket_) {
    where_.next_collective();
    state_.exchange().start_reduce(next_bucket_, gradients_.partials());
  }
}

}  // namespace pathline::trainer
