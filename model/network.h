// SPDX-License-Identifier: Apache-2.0
// What all networks share (options, parameters), and what all velocity networks do.
#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "model/bijection.h"
#include "model/classifier.h"
#include "model/parameter_store.h"
#include "model/recompute.h"
#include "model/time_input.h"
#include "model/velocity_model.h"

namespace pathline::model {

/// What networks of every kind share.
template <class Kind>
class StoredNetwork : public Kind {
 public:
  const std::vector<NamedTensor>& parameters() const final { return store_.parameters(); }
  const std::vector<NamedTensor>& buffers() const final { return store_.buffers(); }
  const ModelOptions& options() const final { return options_; }
  void set_training(bool training) final { training_ = training; }
  void set_parameter_gate(std::function<void(std::size_t)> gate) final { gate_ = std::move(gate); }

 protected:
  StoredNetwork(const ModelOptions& options, std::optional<std::uint64_t> seed) : store_(seed), options_(options) {}

  bool training() const { return training_; }
  /// Returns when the parameters of store_'s groups [0, group] may be read: to be called in forward() before they are.
  void await_group(std::size_t group) const {
    if (gate_) gate_(store_.group_ends()[group]);
  }

  ParameterStore store_;

 private:
  ModelOptions options_;
  bool training_ = false;
  std::function<void(std::size_t)> gate_;
};

/// A velocity: the way from flow time to the network's own, blocks that are computed again, the cut of extra channels.
class Network : public StoredNetwork<VelocityModel> {
 public:
  at::Tensor velocity(const at::Tensor& x, const at::Tensor& t, const Condition& condition) final;
  at::Tensor forward_as_original(const at::Tensor& x, const at::Tensor& t, const Condition& condition) final;
  void set_activation_checkpointing(std::int64_t every) final;

 protected:
  Network(const ModelOptions& options, std::optional<std::uint64_t> seed)
      : StoredNetwork(options, seed), time_input_(parse_time_input(options.time_input)) {}

  /// All output channels, fp32. x (N, stem_channels(), ...) has the parameters' type; t (N) fp32 as the network is fed.
  virtual at::Tensor forward(const at::Tensor& x, const at::Tensor& t, const Condition& condition) = 0;

  /// block(inputs), computed again in the backward pass if block `number` (from 0) is to be.
  at::Tensor run_block(std::size_t number, const BlockFunction& block, at::TensorList inputs,
                       const std::vector<at::Tensor>& parameters) const;
  /// Channels that come out: twice those of the data with learn_sigma.
  /// Channels that go in: the data's, and what is known of it.
  std::int64_t stem_channels() const { return options().input_channels + known_channels(options()); }
  std::int64_t output_channels() const { return options().input_channels * (options().learn_sigma ? 2 : 1); }

 private:
  at::Tensor forward_fp32(const at::Tensor& x, const at::Tensor& t, const Condition& condition);

  TimeInput time_input_;
  std::size_t recompute_every_ = 0;
};

/// The implementations; without a seed the parameters have shapes but no memory.
std::unique_ptr<Network> make_transformer(const ModelOptions& options, std::optional<std::uint64_t> seed);
std::unique_ptr<Network> make_mm_dit(const ModelOptions& options, std::optional<std::uint64_t> seed);
std::unique_ptr<Network> make_unet(const ModelOptions& options, std::optional<std::uint64_t> seed);
std::unique_ptr<Network> make_mlp(const ModelOptions& options, std::optional<std::uint64_t> seed);
std::unique_ptr<Bijection> make_coupling_layers(const ModelOptions& options, std::optional<std::uint64_t> seed);
std::unique_ptr<Classifier> make_classifier(const ModelOptions& options, std::optional<std::uint64_t> seed);

}  // namespace pathline::model
