// SPDX-License-Identifier: Apache-2.0
#include "model/layers.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "core/error.h"
#include "model/convolution.h"

namespace pathline::model {
namespace {

Linear linear_layer(ParameterStore& store, const std::string& name, std::int64_t in, std::int64_t out, Initial weight,
                    Initial bias) {
  return {store.add(name + ".weight", {out, in}, weight), store.add(name + ".bias", {out}, bias)};
}

Convolution convolution_layer(ParameterStore& store, const std::string& name, std::int64_t in, std::int64_t out,
                              std::int64_t kernel, std::int64_t stride, Initial initial) {
  return {store.add(name + ".weight", {out, in, kernel, kernel}, initial), store.add(name + ".bias", {out}, initial),
          stride};
}

// He et al. with a = sqrt(5), torch's default: uniform in +-1/sqrt(fan in), weight and bias.
Initial torch_default(std::int64_t fan_in) { return Initial::uniform(1.0 / std::sqrt(static_cast<double>(fan_in))); }

}  // namespace

at::Tensor Linear::operator()(const at::Tensor& x) const {
  return at::linear(x, weight.to(x.scalar_type()), bias.to(x.scalar_type()));
}

Linear xavier_linear(ParameterStore& store, const std::string& name, std::int64_t in, std::int64_t out) {
  return linear_layer(store, name, in, out, Initial::uniform(std::sqrt(6.0 / static_cast<double>(in + out))),
                      Initial::zero());
}

Linear normal_linear(ParameterStore& store, const std::string& name, std::int64_t in, std::int64_t out,
                     double deviation) {
  return linear_layer(store, name, in, out, Initial::normal(deviation), Initial::zero());
}

Linear zero_linear(ParameterStore& store, const std::string& name, std::int64_t in, std::int64_t out) {
  return linear_layer(store, name, in, out, Initial::zero(), Initial::zero());
}

Linear default_linear(ParameterStore& store, const std::string& name, std::int64_t in, std::int64_t out) {
  return linear_layer(store, name, in, out, torch_default(in), torch_default(in));
}

at::Tensor Convolution::operator()(const at::Tensor& x) const {
  const std::int64_t padding = weight.size(2) / 2;
  const at::ScalarType type = x.scalar_type();
  if (is_host_map(x)) return host_convolution(x, weight.to(type), bias.to(type), stride);
  return at::conv2d(x, weight.to(type), bias.to(type), {stride, stride}, {padding, padding});
}

Convolution default_convolution(ParameterStore& store, const std::string& name, std::int64_t in, std::int64_t out,
                                std::int64_t kernel, std::int64_t stride) {
  return convolution_layer(store, name, in, out, kernel, stride, torch_default(in * kernel * kernel));
}

Convolution zero_convolution(ParameterStore& store, const std::string& name, std::int64_t in, std::int64_t out,
                             std::int64_t kernel) {
  return convolution_layer(store, name, in, out, kernel, 1, Initial::zero());
}

at::Tensor GroupNorm::operator()(const at::Tensor& x) const {
  return at::group_norm(x, 32, weight.to(x.scalar_type()), bias.to(x.scalar_type()), 1e-5);
}

GroupNorm group_norm_layer(ParameterStore& store, const std::string& name, std::int64_t channels) {
  return {store.add(name + ".weight", {channels}, Initial::one()),
          store.add(name + ".bias", {channels}, Initial::zero())};
}

at::Tensor LayerNorm::operator()(const at::Tensor& x) const {
  return at::layer_norm(x, {x.size(-1)}, weight.to(x.scalar_type()), bias.to(x.scalar_type()), 1e-5);
}

LayerNorm layer_norm_layer(ParameterStore& store, const std::string& name, std::int64_t width) {
  return {store.add(name + ".weight", {width}, Initial::one()), store.add(name + ".bias", {width}, Initial::zero())};
}

at::Tensor RmsNorm::operator()(const at::Tensor& x) const {
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor normed = wide * (wide.square().mean(-1, true) + 1e-6).rsqrt();
  return (normed * weight.to(at::kFloat)).to(x.scalar_type());
}

RmsNorm rms_norm_layer(ParameterStore& store, const std::string& name, std::int64_t width) {
  return {store.add(name + ".weight", {width}, Initial::one())};
}

at::Tensor LabelTable::operator()(const at::Tensor& labels) const {
  PL_ASSERT(labels.defined());
  const at::Tensor rows = weight.to(at::kFloat);  // a row's gradient is a sum over samples: taken in fp32
  if (weight.size(0) > classes) {
    return at::embedding(rows, labels, frozen_null ? classes : -1).to(weight.scalar_type());
  }
  const at::Tensor known = labels.lt(classes);  // (N)
  return (at::embedding(rows, labels.clamp_max(classes - 1)) * known.unsqueeze(1)).to(weight.scalar_type());
}

at::Tensor time_features(const at::Tensor& t, std::int64_t width) {
  // fp32 in the original's order of operations: at t = 999 the last bits of the frequencies matter.
  const std::int64_t half = width / 2;
  const auto fp32 = at::TensorOptions().dtype(at::kFloat).device(t.device());
  const at::Tensor frequencies = at::exp(at::arange(half, fp32) * -std::log(10000.0) / static_cast<double>(half));
  const at::Tensor phases = t.to(at::kFloat).unsqueeze(1) * frequencies;  // (N, half)
  const at::Tensor pairs = at::cat({at::cos(phases), at::sin(phases)}, 1);
  return width % 2 == 0 ? pairs : at::cat({pairs, at::zeros({t.size(0), 1}, fp32)}, 1);
}

at::Tensor TimeEmbedding::operator()(const at::Tensor& t) const {
  return second(at::silu(first(time_features(t, features).to(first.weight.scalar_type()))));
}

}  // namespace pathline::model
