// SPDX-License-Identifier: Apache-2.0
// Training by likelihood: minus log p(x1) per dimension, in nats, under a standard normal law of the noise. 8-bit
// images are dequantised first: u in [0, 1) keyed by position, x1 + (u - 1/2) / 127.5.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "model/bijection.h"
#include "trainer/objective.h"

namespace pathline::trainer {

/// What both have in common: samples and labels as training and validation want them.
class LikelihoodObjective : public Objective {
 public:
  at::Tensor loss_per_sample(const Slice& slice) const final;
  at::Tensor held_out_loss_per_sample(const Slice& slice) const final;
  bool has_times() const final { return false; }

 protected:
  LikelihoodObjective(const flow::FlowOptions& options, std::uint64_t seed, const model::Module& model)
      : seed_(seed), module_(model), label_drop_(options.label_drop) {}

  /// (n) nats, of x (n, ...) on the model's device. `positions` key what is drawn. Differentiable in the parameters
  /// where autograd records.
  virtual at::Tensor log_density(const at::Tensor& x, const model::Condition& condition,
                                 const std::vector<std::uint64_t>& positions) const = 0;

  const std::uint64_t seed_;

 private:
  at::Tensor loss(const Slice& slice, core::Purpose dequantisation, double label_drop) const;

  const model::Module& module_;
  double label_drop_;
};

/// Normalizing flow by change of variables: log N(z(x)) + log |det dz/dx|.
class NllFlowObjective final : public LikelihoodObjective {
 public:
  NllFlowObjective(const flow::FlowOptions& options, std::uint64_t seed, model::Bijection& model)
      : LikelihoodObjective(options, seed, model), model_(model) {}

 private:
  at::Tensor log_density(const at::Tensor& x, const model::Condition& condition,
                         const std::vector<std::uint64_t>& positions) const override;

  model::Bijection& model_;
};

/// Continuous normalizing flow (Chen et al., arXiv 1806.07366; Grathwohl et al., arXiv 1810.01367): log N(x(0)) minus
/// the integral of div v over t from 0 to 1, both along the solution back from the datum at t = 1 in flow.cnf_steps
/// steps of flow.cnf_solver. The steps themselves are differentiated ("discretise, then optimise"), so the gradient is
/// that of the loss as computed.
class NllCnfObjective final : public LikelihoodObjective {
 public:
  /// Throws ExitCode::kUsage for a network without continuous second derivatives.
  NllCnfObjective(const flow::FlowOptions& options, std::uint64_t seed, model::VelocityModel& model);

 private:
  at::Tensor log_density(const at::Tensor& x, const model::Condition& condition,
                         const std::vector<std::uint64_t>& positions) const override;

  model::VelocityModel& model_;
  bool midpoint_, exact_;
  std::int64_t steps_;
};

}  // namespace pathline::trainer
