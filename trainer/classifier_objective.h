// SPDX-License-Identifier: Apache-2.0
// Training a classifier of noisy samples: minus log p(label | x_t, t) in nats, x_t on the recipe's path.
#pragma once

#include <cstdint>

#include "model/classifier.h"
#include "trainer/objective.h"

namespace pathline::trainer {

class ClassifierObjective final : public Objective {
 public:
  ClassifierObjective(const flow::FlowOptions& options, std::uint64_t seed, model::Classifier& model);
  /// Throws ExitCode::kInput for a sample without a label.
  at::Tensor loss_per_sample(const Slice& slice) const override;
  at::Tensor held_out_loss_per_sample(const Slice& slice) const override;
  bool tells_labels() const override { return true; }
  at::Tensor held_out_hits_per_sample(const Slice& slice) const override;

 private:
  struct Noisy {
    at::Tensor x, t, labels;  // (n, ...), (n), (n)
  };
  /// `times` (n) in [0, 1), on the processor.
  Noisy noisy(const Slice& slice, const at::Tensor& times, core::Purpose noise, core::Purpose jitter) const;
  Noisy held_out(const Slice& slice) const;
  at::Tensor loss_of(const Noisy& noisy) const;

  model::Classifier& model_;
  flow::Path path_;
  flow::TimeLaw time_;
  std::uint64_t seed_;
};

}  // namespace pathline::trainer
