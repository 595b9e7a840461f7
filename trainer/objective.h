// SPDX-License-Identifier: Apache-2.0
// The loss of one slice of a batch.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "core/random.h"
#include "flow/flow_options.h"
#include "flow/mask.h"
#include "flow/time_law.h"
#include "model/velocity_model.h"

namespace pathline::trainer {

/// Samples with what keys their randomness.
struct Slice {
  at::Tensor x1;                          // (n, C, H, W) or (n, D) fp32, on the CPU or the model's device
  std::vector<std::int64_t> labels;       // (n), -1 without labels
  std::vector<std::uint64_t> positions;   // (n); of held-out samples their numbers
  std::vector<std::uint64_t> noise = {};  // (n) positions whose noise samples start from; empty: their own
  at::Tensor x0 = {};                     // as x1: what samples start from; undefined: normal noise
  at::Tensor texts = {};      // (n, V) fp32, on the CPU: prompts as data::ShardSource::read_text() gives them
  at::Tensor null_text = {};  // (V) the empty prompt
};

/// Of held-out samples: number i belongs to bin i mod kTimeBins of t.
inline constexpr int kTimeBins = 10;

/// Made with its model, which must outlive it.
class Objective {
 public:
  virtual ~Objective() = default;
  /// (n) loss of each sample on the model's device, differentiable in its parameters. A pure function of slice, seed
  /// and weights.
  virtual at::Tensor loss_per_sample(const Slice& slice) const = 0;
  /// (n) as above, of held-out samples: with draws of their own, no label dropped, t in the sample's bin.
  virtual at::Tensor held_out_loss_per_sample(const Slice& slice) const = 0;
  /// Whether the model tells labels, as classifiers do.
  virtual bool tells_labels() const { return false; }
  /// Then: (n) 1 where it tells the label of a held-out sample, asked as for held_out_loss_per_sample(), else 0.
  virtual at::Tensor held_out_hits_per_sample(const Slice&) const { return {}; }
  /// Whether samples have times, so that held-out losses can be told by them.
  virtual bool has_times() const { return true; }
};

/// What the network is asked about a slice, and the answer wanted, on its device.
struct Question {
  at::Tensor x, t;  // (n, ...), (n)
  model::Condition condition;
  at::Tensor target;  // as x
  at::Tensor weight;  // (n), of the squared errors
};

/// An objective in two parts: what draws random numbers and comes from the host, and what only computes on the device
/// (so that a CUDA graph can hold it).
class TwoPartObjective : public Objective {
 public:
  virtual Question question(const Slice& slice) const = 0;
  virtual at::Tensor loss_of(const Question& question) const = 0;
  at::Tensor loss_per_sample(const Slice& slice) const final { return loss_of(question(slice)); }
};

/// Conditional flow matching and denoising score matching: draw t and noise, interpolate, predict what the
/// parameterisation says, weighted squared error.
class FlowObjective final : public TwoPartObjective {
 public:
  FlowObjective(const flow::FlowOptions& options, std::uint64_t seed, model::VelocityModel& model);
  Question question(const Slice& slice) const override;
  at::Tensor loss_of(const Question& question) const override;
  at::Tensor held_out_loss_per_sample(const Slice& slice) const override;

 private:
  /// What the draws of one part of the data are keyed by.
  struct Purposes {
    core::Purpose noise, jitter, mask;
  };
  Question ask(const Slice& slice, const at::Tensor& times, const Purposes& purposes, double label_drop) const;

  model::VelocityModel& model_;
  flow::Parameterisation parameterisation_;
  flow::TimeLaw time_;
  flow::MaskLaw masks_;
  double label_drop_;
  std::uint64_t seed_;
};

/// Reads the weights of flow.teacher, where there is one. Throws ExitCode::kUsage for a kind of network that the
/// objective cannot train; kUsage or kInput for a teacher that cannot be used.
std::unique_ptr<Objective> make_objective(const flow::FlowOptions& options, std::uint64_t seed, model::Module& model);

/// (n, ...) x0 of a slice: as the coupling or the source gives it, else normal noise for `purpose`, on `device`.
at::Tensor start_of(const Slice& slice, std::uint64_t seed, core::Purpose purpose, at::Device device);

/// (n) times in [0, 1) on the processor, of held-out samples in their bins.
at::Tensor stratified_times(std::uint64_t seed, const std::vector<std::uint64_t>& numbers);

/// Where the model's parameters lie.
at::Device device_of(const model::Module& model);

/// Labels and prompts of a slice as the model takes them; each sample's is dropped with probability `label_drop`, one
/// keyed coin for both.
model::Condition condition_of(const Slice& slice, const model::Module& model, std::uint64_t seed, double label_drop);

/// The condition for given labels: undefined labels for unconditional models.
model::Condition condition_for(const model::Module& model, const at::Tensor& labels);

}  // namespace pathline::trainer
