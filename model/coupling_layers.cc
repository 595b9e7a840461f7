// SPDX-License-Identifier: Apache-2.0
// RealNVP's affine coupling layers (Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", arXiv
// 1605.08803, equations 7 to 9): z = m x + (1 - m) (x exp(s(m x)) + t(m x)) with a mask m of zeros and ones, so log
// |det| = sum of s over the elements that change, and x = m z + (1 - m) (z - t(m z)) exp(-s(m z)).
//
// Note [Masks]: of points every second coordinate, by turns. Of images in fours: a checkerboard and its complement at
// full size; then each 2 x 2 places become channels (a bijection without volume), and every second channel and its
// complement. Nothing is factored out, so z keeps x's shape.
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/pixel_shuffle.h>
#include <ATen/ops/pixel_unshuffle.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <numbers>
#include <variant>

#include "core/error.h"
#include "model/activation.h"
#include "model/layers.h"
#include "model/network.h"

namespace pathline::model {
namespace {

/// From masked x (N, c, ...) to scale and shift side by side (N, 2 c, ...): hidden layers of one width.
template <class Layer>
struct Stack {
  std::vector<Layer> layers;
  Activation activation;

  at::Tensor operator()(at::Tensor h) const {
    for (std::size_t i = 0; i < layers.size(); ++i) {
      h = layers[i](i == 0 ? h : activated(activation, h));
    }
    return h;
  }
};

struct Coupling {
  at::Tensor mask;   // (1, c, ...): 1 where x stays
  at::Tensor bound;  // (c, 1, ...): learned; s = bound tanh(.), as the original's code
  std::variant<Stack<Linear>, Stack<Convolution>> network;
  bool squeezed = false;

  struct Move {
    at::Tensor scale, shift;  // zero where x stays
  };

  /// `kept`: mask * x. `labels` (N, classes), or undefined.
  Move move(const at::Tensor& kept, const at::Tensor& labels) const {
    at::Tensor in = kept;
    if (labels.defined()) {
      std::vector<std::int64_t> shape = kept.sizes().vec(), flat(kept.dim(), 1);
      flat[0] = shape[0];
      flat[1] = shape[1] = labels.size(1);
      in = at::cat({kept, labels.view(flat).expand(shape)}, 1);
    }
    const at::Tensor out = std::visit([&](const auto& net) { return net(in); }, network).to(at::kFloat);
    const std::int64_t c = kept.size(1);
    const at::Tensor changes = 1 - mask;
    return {changes * bound * at::tanh(out.narrow(1, 0, c)), changes * out.narrow(1, c, c)};
  }
};

/// Scale and shift of a new network are zero: the first z is x.
Stack<Linear> point_network(ParameterStore& store, const std::string& name, const ModelOptions& o) {
  Stack<Linear> stack{{}, parse_activation(o.activation)};
  std::int64_t in = o.input_channels + o.classes;
  for (std::int64_t i = 0; i < o.depth; ++i) {
    stack.layers.push_back(default_linear(store, name + "." + std::to_string(2 * i), in, o.hidden));
    in = o.hidden;
  }
  stack.layers.push_back(zero_linear(store, name + "." + std::to_string(2 * o.depth), in, 2 * o.input_channels));
  return stack;
}

Stack<Convolution> image_network(ParameterStore& store, const std::string& name, const ModelOptions& o,
                                 std::int64_t channels) {
  Stack<Convolution> stack{{}, parse_activation(o.activation)};
  std::int64_t in = channels + o.classes;
  for (std::int64_t i = 0; i < o.depth; ++i) {
    stack.layers.push_back(default_convolution(store, name + "." + std::to_string(2 * i), in, o.hidden, 3));
    in = o.hidden;
  }
  stack.layers.push_back(zero_convolution(store, name + "." + std::to_string(2 * o.depth), in, 2 * channels, 3));
  return stack;
}

/// 1 where the sum of all indices plus `turn` is even.
at::Tensor alternating_mask(const std::vector<std::int64_t>& shape, std::int64_t turn) {
  at::Tensor sum = at::zeros(shape, at::kLong);
  for (std::size_t d = 0; d < shape.size(); ++d) {
    std::vector<std::int64_t> along(shape.size(), 1);
    along[d] = shape[d];
    sum = sum + at::arange(shape[d], at::kLong).view(along);
  }
  return (sum + turn).remainder(2).eq(0).to(at::kFloat);
}

/// See Note [Masks].
Coupling make_coupling(ParameterStore& store, const ModelOptions& o, std::int64_t number) {
  const std::string name = "couplings." + std::to_string(number);
  const std::int64_t turn = number % 2;
  Coupling coupling;
  if (o.input_size == 0) {
    coupling.mask = store.add_buffer(name + ".mask", alternating_mask({1, o.input_channels}, turn));
    coupling.network = point_network(store, name + ".net", o);
    coupling.bound = store.add(name + ".bound", {o.input_channels}, Initial::one());
    return coupling;
  }
  coupling.squeezed = number % 4 >= 2;
  const std::int64_t channels = o.input_channels * (coupling.squeezed ? 4 : 1);
  const std::vector<std::int64_t> places = {1, 1, o.input_size, o.input_size}, planes = {1, channels, 1, 1};
  coupling.mask = store.add_buffer(name + ".mask", alternating_mask(coupling.squeezed ? planes : places, turn));
  coupling.network = image_network(store, name + ".net", o, channels);
  coupling.bound = store.add(name + ".bound", {channels, 1, 1}, Initial::one());
  return coupling;
}

class CouplingLayers final : public StoredNetwork<Bijection> {
 public:
  CouplingLayers(const ModelOptions& options, std::optional<std::uint64_t> seed)
      : StoredNetwork<Bijection>(options, seed) {
    for (std::int64_t i = 0; i < options.couplings; ++i) {
      couplings_.push_back(make_coupling(store_, options, i));
      store_.end_group();
    }
  }

  Noise to_noise(const at::Tensor& x, const Condition& condition) override {
    const at::Tensor labels = one_hot(condition);
    at::Tensor z = x.to(at::kFloat), log_det = at::zeros({x.size(0)}, z.options());
    for (std::size_t i = 0; i < couplings_.size(); ++i) {
      await_group(i);
      const Coupling& coupling = couplings_[i];
      const at::Tensor y = enter(coupling, z);
      const at::Tensor kept = coupling.mask * y;
      const Coupling::Move move = coupling.move(kept.to(type()), labels);
      z = leave(coupling, kept + (1 - coupling.mask) * (y * at::exp(move.scale) + move.shift));
      log_det = log_det + move.scale.flatten(1).sum(1);
    }
    return {z, log_det};
  }

  at::Tensor to_data(const at::Tensor& z, const Condition& condition) override {
    const at::Tensor labels = one_hot(condition);
    if (!couplings_.empty()) await_group(couplings_.size() - 1);
    at::Tensor x = z.to(at::kFloat);
    for (std::size_t i = couplings_.size(); i-- > 0;) {
      const Coupling& coupling = couplings_[i];
      const at::Tensor y = enter(coupling, x);
      const at::Tensor kept = coupling.mask * y;
      const Coupling::Move move = coupling.move(kept.to(type()), labels);
      x = leave(coupling, kept + (1 - coupling.mask) * ((y - move.shift) * at::exp(-move.scale)));
    }
    return x;
  }

  void set_activation_checkpointing(std::int64_t every) override {
    PL_CHECK(every == 0, core::ExitCode::kUsage, "train.activation_checkpointing is asked for, but ", options().name,
             " offers none (its layers are small). Use \"none\".");
  }

 private:
  static at::Tensor enter(const Coupling& coupling, const at::Tensor& x) {
    return coupling.squeezed ? at::pixel_unshuffle(x, 2) : x;
  }
  static at::Tensor leave(const Coupling& coupling, const at::Tensor& y) {
    return coupling.squeezed ? at::pixel_shuffle(y, 2) : y;
  }

  at::ScalarType type() const { return parameters().front().tensor.scalar_type(); }

  /// (N, classes), all zero for the null label; undefined for an unconditional model.
  at::Tensor one_hot(const Condition& condition) const {
    if (options().classes == 0) return {};
    PL_ASSERT(condition.labels.defined());
    const at::Tensor numbers = at::arange(options().classes, condition.labels.options());
    return condition.labels.unsqueeze(1).eq(numbers).to(type());
  }

  std::vector<Coupling> couplings_;
};

}  // namespace

std::unique_ptr<Bijection> make_coupling_layers(const ModelOptions& options, std::optional<std::uint64_t> seed) {
  return std::make_unique<CouplingLayers>(options, seed);
}

at::Tensor log_density(Bijection& model, const at::Tensor& x, const Condition& condition) {
  const Bijection::Noise noise = model.to_noise(x, condition);
  const at::Tensor z = noise.z.to(at::kDouble).flatten(1);
  const double constant = -0.5 * static_cast<double>(z.size(1)) * std::log(2 * std::numbers::pi);
  return noise.log_det.to(at::kDouble) - 0.5 * z.square().sum(1) + constant;
}

Bijection& as_bijection(Module& module, const std::string& user) {
  auto* model = dynamic_cast<Bijection*>(&module);
  PL_CHECK(model != nullptr, core::ExitCode::kUsage, user, " needs a bijection (model.name = \"RealNVP\"), and \"",
           module.options().name, "\" is another kind of network. Choose another model (docs/models.md).");
  return *model;
}

}  // namespace pathline::model
