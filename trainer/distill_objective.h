// SPDX-License-Identifier: Apache-2.0
// Distillation to k Euler steps, even over the path: at the time t_i where step i begins, the network learns the mean
// velocity over that step.
//  - From pairs (x0, x1) of a first model, along the straight line between them (Liu et al., "Flow straight and fast",
//    arXiv 2209.03003, section 2.1): x_t = t x1 + (1 - t) x0, target x1 - x0. At t = 0 pairs of an ODE make x1 a
//    function of x0, so one step learns the first model's whole map; with more steps only where no two lines cross at a
//    t_i, as after ReFlow, since what is learned there is the mean over the lines that do.
//  - From a teacher of 2 k steps (Salimans, Ho, "Progressive distillation", arXiv 2202.00512, Algorithm 2, with
//    velocities in place of x1): from x_t of data and noise, one step of the student ends where two of the teacher do,
//    target (v(x, t_i) + v(x + h/2 v(x, t_i), t_i + h/2)) / 2, h the student's step. The states of an ODE never cross:
//    there is one right answer at each, for any k.
#pragma once

#include <cstdint>
#include <memory>

#include "trainer/objective.h"

namespace pathline::trainer {

class DistillObjective final : public TwoPartObjective {
 public:
  /// `teacher`: in evaluation mode, on the model's device, of the same shapes and classes; null: from pairs.
  DistillObjective(const flow::FlowOptions& options, std::uint64_t seed, model::VelocityModel& model,
                   std::unique_ptr<model::Module> teacher);
  Question question(const Slice& slice) const override;
  at::Tensor loss_of(const Question& question) const override;
  at::Tensor held_out_loss_per_sample(const Slice& slice) const override;
  /// A few times alone: bins would say nothing.
  bool has_times() const override { return false; }

 private:
  /// `numbers` (n): which step, 0 to k - 1.
  Question ask(const Slice& slice, const std::vector<std::int64_t>& numbers, core::Purpose noise,
               double label_drop) const;
  at::Tensor two_steps_of_teacher(const Question& from) const;

  model::VelocityModel& model_;
  std::unique_ptr<model::Module> held_;  // the teacher
  model::VelocityModel* teacher_;        // the same, or null
  flow::Path path_;
  std::int64_t steps_;
  double step_;  // how long each is
  double label_drop_;
  std::uint64_t seed_;
};

}  // namespace pathline::trainer
