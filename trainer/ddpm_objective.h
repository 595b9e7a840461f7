// SPDX-License-Identifier: Apache-2.0
// Training as DDPM's networks are trained, at the 1,000 discrete times of the linear schedule (Ho et al., arXiv
// 2006.11239): the squared error of the predicted noise; and where the network has a second half for it
// (model.learn_sigma), the variance of the reverse step by the variational bound, L_hybrid of Nichol, Dhariwal (arXiv
// 2102.09672), section 3.1, as guided-diffusion and DiT compute it:
//
//   mean (e - x0)^2 + KL(q(x_{k-1} | x_k, x1) || N(mean, exp(f log beta + (1 - f) log posterior))), f = (v + 1) / 2,
//
// in bits a dimension, with the mean detached, so that the bound moves v alone; at k = 0 the likelihood of the 8-bit
// datum in place of the KL. (The bound is a sum over 1,000 times and weighs a thousandth: the mean over times.)
#pragma once

#include <cstdint>

#include "trainer/objective.h"

namespace pathline::trainer {

class DdpmObjective final : public TwoPartObjective {
 public:
  /// Throws ExitCode::kUsage for a network that is not fed indices.
  DdpmObjective(const flow::FlowOptions& options, std::uint64_t seed, model::VelocityModel& model);
  /// Its t are the indices k, its target is the noise.
  Question question(const Slice& slice) const override;
  at::Tensor loss_of(const Question& question) const override;
  at::Tensor held_out_loss_per_sample(const Slice& slice) const override;

 private:
  /// `times` (n) of flow in [0, 1), on the processor.
  Question ask(const Slice& slice, const at::Tensor& times, core::Purpose noise, double label_drop) const;
  /// (n, ...) bits of the bound for the network's v and what its noise is off by, both as question.x.
  at::Tensor bound(const Question& question, const at::Tensor& v, const at::Tensor& off) const;

  model::VelocityModel& model_;
  at::Tensor steps_;  // (5, 1000) on the model's device: rows of ddpm_objective.cc by index
  double label_drop_;
  std::uint64_t seed_;
};

}  // namespace pathline::trainer
