// SPDX-License-Identifier: Apache-2.0
#include "trainer/likelihood_objective.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <numbers>

#include "core/error.h"
#include "flow/keyed_draws.h"
#include "flow/transfer.h"

namespace pathline::trainer {
namespace {

constexpr std::int64_t kFewDimensions = 4;  // up to here the divergence itself costs no more than a few estimates

/// One evaluation: what moves the state, and what moves its density.
struct Slope {
  at::Tensor v, divergence;  // divergence: undefined where it was not asked for
};

/// The velocity of a slice's states, with its divergence.
class SliceField {
 public:
  /// `probe`: signs as x for Hutchinson's estimate, which stay for the whole solve; undefined: the divergence itself.
  /// `trains`: what comes out is differentiable in the parameters.
  SliceField(model::VelocityModel& model, const model::Condition& condition, at::Tensor probe, bool trains)
      : model_(model), condition_(condition), probe_(std::move(probe)), trains_(trains) {}

  Slope operator()(const at::Tensor& state, double t, bool with_divergence) const {
    const at::AutoGradMode derivatives_in_x(true);
    const at::Tensor x = trains_ && state.requires_grad() ? state : state.detach().requires_grad_(true);
    Slope slope{model_.velocity(x, at::full({x.size(0)}, t, x.options()), condition_), {}};
    if (with_divergence) slope.divergence = divergence(slope.v, x);
    if (trains_) return slope;
    return {slope.v.detach(), with_divergence ? slope.divergence.detach() : at::Tensor()};
  }

 private:
  /// (n): sum_i dv_i / dx_i.
  at::Tensor divergence(const at::Tensor& v, const at::Tensor& x) const {
    if (probe_.defined()) return (derivative(v, x, probe_) * probe_).flatten(1).sum(1);
    at::Tensor sum = at::zeros({x.size(0)}, x.options());
    for (std::int64_t i = 0; i < x.size(1); ++i) {
      const at::Tensor component = v.select(1, i);
      sum = sum + derivative(component, x, at::ones_like(component)).select(1, i);
    }
    return sum;
  }

  /// d (v . direction) / dx, itself differentiable: the loss depends on it.
  at::Tensor derivative(const at::Tensor& v, const at::Tensor& x, const at::Tensor& direction) const {
    return torch::autograd::grad({v}, {x}, {direction}, /*retain_graph=*/true, /*create_graph=*/trains_)[0];
  }

  model::VelocityModel& model_;
  const model::Condition& condition_;
  const at::Tensor probe_;
  const bool trains_;
};

/// A method whose stage i starts from stage i - 1 alone: that is classical RK4, and the midpoint rule.
struct Method {
  std::vector<double> nodes, weights;
};

Method method_of(bool midpoint) {
  if (midpoint) return {{0.0, 0.5}, {0.0, 1.0}};
  return {{0.0, 0.5, 0.5, 1.0}, {1.0 / 6, 1.0 / 3, 1.0 / 3, 1.0 / 6}};
}

struct BackAtNoise {
  at::Tensor x, integral;  // the state at t = 0; (n) of the divergence from 0 to 1
};

BackAtNoise solved_back(const SliceField& field, const Method& method, std::int64_t steps, const at::Tensor& datum) {
  const double h = 1.0 / static_cast<double>(steps);
  BackAtNoise at_t{datum, at::zeros({datum.size(0)}, datum.options())};
  for (std::int64_t step = 0; step < steps; ++step) {
    const double t = 1.0 - h * static_cast<double>(step);
    at::Tensor end = at_t.x, v;
    for (std::size_t stage = 0; stage < method.nodes.size(); ++stage) {
      const double node = h * method.nodes[stage], weight = h * method.weights[stage];
      const Slope slope = field(stage == 0 ? at_t.x : at_t.x - node * v, t - node, weight != 0);
      v = slope.v;
      if (weight == 0) continue;
      end = end - weight * v;
      at_t.integral = at_t.integral + weight * slope.divergence;
    }
    at_t.x = end;
  }
  return at_t;
}

}  // namespace

at::Tensor LikelihoodObjective::loss_per_sample(const Slice& slice) const {
  return loss(slice, core::Purpose::kDequantize, label_drop_);
}

at::Tensor LikelihoodObjective::held_out_loss_per_sample(const Slice& slice) const {
  return loss(slice, core::Purpose::kValidationDequantize, 0.0);
}

at::Tensor LikelihoodObjective::loss(const Slice& slice, core::Purpose dequantisation, double label_drop) const {
  const at::Device device = device_of(module_);
  at::Tensor x = flow::sent_to(slice.x1, device);
  if (module_.options().input_size > 0) {
    x = x + (flow::keyed_uniform(seed_, dequantisation, slice.positions, x.sizes().slice(1), device) - 0.5) / 127.5;
  }
  const auto dimensions = static_cast<double>(x.numel() / x.size(0));
  return log_density(x, condition_of(slice, module_, seed_, label_drop), slice.positions).to(at::kFloat) / -dimensions;
}

at::Tensor NllFlowObjective::log_density(const at::Tensor& x, const model::Condition& condition,
                                         const std::vector<std::uint64_t>&) const {
  return model::log_density(model_, x, condition);
}

NllCnfObjective::NllCnfObjective(const flow::FlowOptions& options, std::uint64_t seed, model::VelocityModel& model)
    : LikelihoodObjective(options, seed, model),
      model_(model),
      midpoint_(options.cnf.solver == "midpoint"),
      exact_(options.cnf.divergence == "exact" ||
             (options.cnf.divergence == "auto" && model.options().input_channels <= kFewDimensions)),
      steps_(options.cnf.steps) {
  const model::ModelOptions& network = model.options();
  PL_CHECK(network.name == "MLP", core::ExitCode::kUsage,
           "flow.objective = \"nll-cnf\" differentiates the divergence, ",
           "so it needs second derivatives, and model.name = \"", network.name,
           "\" has first ones only. Use name = \"MLP\" on points; images are trained with objective = \"flow\".");
  PL_CHECK(
      network.activation != "selu", core::ExitCode::kUsage,
      "flow.objective = \"nll-cnf\" with model.activation = \"selu\": its derivative jumps at 0, so the divergence ",
      "does too and its gradient would be wrong. Use activation = \"silu\" or \"tanh\".");
}

at::Tensor NllCnfObjective::log_density(const at::Tensor& datum, const model::Condition& condition,
                                        const std::vector<std::uint64_t>& positions) const {
  at::Tensor probe;
  if (!exact_) {
    const at::Tensor u =
        flow::keyed_uniform(seed_, core::Purpose::kDivergenceProbe, positions, datum.sizes().slice(1), datum.device());
    probe = u.lt(0.5).to(at::kFloat) * -2 + 1;
  }
  const SliceField field(model_, condition, probe, at::GradMode::is_enabled());
  const BackAtNoise noise = solved_back(field, method_of(midpoint_), steps_, datum);
  const double constant = -0.5 * static_cast<double>(datum.size(1)) * std::log(2 * std::numbers::pi);
  return constant - 0.5 * noise.x.square().sum(1) - noise.integral;
}

}  // namespace pathline::trainer
