// SPDX-License-Identifier: Apache-2.0
// Given starts through the slot engine, in fp32 or fp64: how tests ask solvers for single solutions.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "sampler/guidance.h"
#include "sampler/slot_engine.h"
#include "sampler/slot_method.h"
#include "sampler/solver_options.h"

namespace pathline::tests {

template <class State>
at::Tensor integrate_rows(const sampler::GuidedField& field, const at::Tensor& x, const at::Tensor& labels,
                          const sampler::SolverOptions& solver, std::vector<std::int64_t>* nfe,
                          const sampler::StepNoise& noise) {
  const std::int64_t rows = x.size(0);
  const auto methods = sampler::method_maker<State>(solver, x.numel() / rows, noise);
  sampler::SlotEngine<State> engine(field, methods, x.sizes().slice(1).vec(), rows, labels.defined());
  std::vector<at::Tensor> ends(static_cast<std::size_t>(rows));
  if (nfe) nfe->assign(ends.size(), 0);
  std::int64_t row = 0;
  const auto next = [&]() -> std::optional<sampler::Start> {
    if (row >= rows) return std::nullopt;
    sampler::Start start{row, labels.defined() ? labels[row].item<std::int64_t>() : 0, x[row], solver.guidance_of(row)};
    ++row;
    return start;
  };
  engine.run(next, [&](sampler::Finish&& finish) {
    EXPECT_FALSE(sampler::failed(finish.outcome)) << "row " << finish.id << " with " << solver.solver;
    const auto place = static_cast<std::size_t>(finish.id);
    if (nfe) (*nfe)[place] = finish.nfe;
    ends[place] = std::move(finish.x);
  });
  return at::stack(ends);
}

/// From starts x (S, ...) at solver.t0 to solver.t1, a slot a row; labels (S) may be undefined. End points, in order.
/// Row r is sample r of `noise`, which only stochastic solvers need.
inline at::Tensor integrate(const sampler::Field& field, const at::Tensor& x, const at::Tensor& labels,
                            std::int64_t null_label, const sampler::SolverOptions& solver,
                            std::vector<std::int64_t>* nfe = nullptr, const sampler::StepNoise& noise = {}) {
  const sampler::GuidedField guided{field, null_label, solver.guidance_channels};
  return x.scalar_type() == at::kDouble ? integrate_rows<double>(guided, x, labels, solver, nfe, noise)
                                        : integrate_rows<float>(guided, x.to(at::kFloat), labels, solver, nfe, noise);
}

}  // namespace pathline::tests
