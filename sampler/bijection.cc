// SPDX-License-Identifier: Apache-2.0
#include "sampler/bijection.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include <cmath>
#include <vector>

#include "core/error.h"
#include "sampler/solver.h"

namespace pathline::sampler {
namespace {

/// Slots lie on the CPU, the model may be on a GPU.
model::Condition condition_of(const at::Tensor& labels, at::Device device) {
  model::Condition condition;
  if (labels.defined()) condition.labels = labels.to(device);
  return condition;
}

at::Device device_of(const model::Module& model) { return model.parameters().front().tensor.device(); }

}  // namespace

Field one_step_field_of(model::Bijection& model) {
  return [&model](const at::Tensor& x, const at::Tensor&, const at::Tensor& labels) {
    const at::Device device = device_of(model);
    const at::Tensor end = model.to_data(x.to(device, at::kFloat), condition_of(labels, device));
    return end.to(x.device(), x.scalar_type()) - x;
  };
}

SolverOptions in_one_step(const SolverOptions& asked) {
  const SolverOptions usual;
  PL_CHECK(asked.solver == usual.solver || asked.solver == "euler", core::ExitCode::kUsage, "--solver ", asked.solver,
           " was given, but this model maps noise to data in one go (there is nothing to solve). Leave it out.");
  PL_CHECK(!asked.guides(), core::ExitCode::kUsage,
           "guidance was asked of a model that maps noise to data in one go (there is no velocity to be guided). ",
           "Leave it out.");
  SolverOptions once = asked;
  once.solver = "euler";
  once.steps = 1;
  once.grid = usual.grid;
  return once;
}

void log_densities(model::Bijection& model, std::int64_t slots, bool labelled,
                   const std::function<std::optional<Datum>()>& next,
                   const std::function<void(const LogDensity&)>& emit) {
  const at::NoGradGuard no_grad;
  const at::Device device = device_of(model);
  for (bool more = true; more;) {
    std::vector<Datum> data;
    while (std::ssize(data) < slots) {
      std::optional<Datum> datum = next();
      if (!datum) {
        more = false;
        break;
      }
      data.push_back(std::move(*datum));
    }
    if (data.empty()) return;
    std::vector<std::int64_t> shape = data.front().x.sizes().vec();
    shape.insert(shape.begin(), slots);
    at::Tensor rows = at::zeros(shape, at::kFloat), labels;
    if (labelled) labels = at::zeros({slots}, at::kLong);
    for (std::size_t s = 0; s < data.size(); ++s) {
      rows[static_cast<std::int64_t>(s)].copy_(data[s].x);
      if (labelled) labels[static_cast<std::int64_t>(s)].fill_(data[s].label);
    }
    const at::Tensor log_p =
        model::log_density(model, rows.to(device), condition_of(labels, device)).to(at::kCPU).contiguous();
    for (std::size_t s = 0; s < data.size(); ++s) {
      const double value = log_p.const_data_ptr<double>()[s];
      emit({data[s].id, value, 0, 1, std::isfinite(value) ? Outcome::kDone : Outcome::kNotFinite});
    }
  }
}

}  // namespace pathline::sampler
