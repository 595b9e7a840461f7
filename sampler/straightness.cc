// SPDX-License-Identifier: Apache-2.0
#include "sampler/straightness.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "sampler/solver.h"

namespace pathline::sampler {
namespace {

using core::ExitCode;

void check(const Job& job, std::int64_t count, std::int64_t times) {
  const Solver solver = find_solver(job.solver.solver);
  PL_CHECK(count > 0 && times > 0, ExitCode::kUsage, "straightness was asked of ", count, " samples at ", times,
           " times. Both must be positive.");
  PL_CHECK(!solver.stochastic && solver.family != SolverFamily::kDiscrete, ExitCode::kUsage, "solver ", solver.name,
           " was asked for straightness (its trajectories are no solutions of the field's equation). Use dopri5 or "
           "another solver of it.");
  PL_CHECK(!job.solver.guides(), ExitCode::kUsage,
           "guidance was asked for with straightness, which is that of the model's own field. Leave it out.");
}

/// Middles of `times` equal parts from t0 to t1.
std::vector<double> middles(const SolverOptions& solver, std::int64_t times) {
  std::vector<double> result;
  for (std::int64_t k = 0; k < times; ++k) {
    const double share = (static_cast<double>(k) + 0.5) / static_cast<double>(times);
    result.push_back(solver.t0 + share * (solver.t1 - solver.t0));
  }
  return result;
}

/// What one trajectory adds to the means.
struct Shape {
  std::vector<double> bends;  // |v - chord|^2 at every time
  double length = 0;          // |chord|^2
};

/// `states`: the start, then the states at `times` (K + 1, ...).
Shape shape_of(const Field& field, const at::Tensor& states, const at::Tensor& end, const std::vector<double>& times,
               std::int64_t label, double duration) {
  const auto count = static_cast<std::int64_t>(times.size());
  const at::Tensor labels = label < 0 ? at::Tensor() : at::full({count}, label, at::kLong);
  const at::Tensor v = field(states.slice(0, 1).contiguous(), at::tensor(times, at::kDouble).to(at::kFloat), labels);
  const at::Tensor chord = (end.to(at::kDouble) - states[0].to(at::kDouble)) / duration;
  const at::Tensor bends = (v.to(at::kDouble) - chord).square().flatten(1).sum(1).contiguous();
  return {{bends.const_data_ptr<double>(), bends.const_data_ptr<double>() + count},
          (chord * duration).square().sum().item<double>()};
}

Straightness mean_of(const std::vector<Shape>& shapes, std::size_t times) {
  Straightness result;
  result.by_time.assign(times, 0.0);
  for (const Shape& shape : shapes) {
    if (shape.bends.empty()) {
      ++result.failed;
      continue;
    }
    ++result.count;
    result.length += shape.length;
    for (std::size_t k = 0; k < times; ++k) result.by_time[k] += shape.bends[k];
  }
  PL_CHECK(result.count > 0, ExitCode::kNumerical, "all ", result.failed,
           " samples failed (not finite, steps too short or too many). Loosen --rtol and --atol.");
  result.length /= static_cast<double>(result.count);
  for (double& bend : result.by_time) {
    bend /= static_cast<double>(result.count);
    result.bend += bend / static_cast<double>(times);
  }
  return result;
}

}  // namespace

Straightness straightness(const Field& field, const Job& job, std::int64_t count, std::int64_t times,
                          const std::function<std::int64_t(std::int64_t id)>& label_of) {
  check(job, count, times);
  const std::vector<double> at = middles(job.solver, times);
  Job watched = job;
  watched.solver.trajectories = at;
  watched.solver.trajectories.insert(watched.solver.trajectories.begin(), job.solver.t0);
  std::vector<Shape> shapes(static_cast<std::size_t>(count));
  generate(field, watched, 0, count, label_of, [&](Sample&& sample) {
    if (failed(sample.outcome)) return;
    const std::int64_t label = job.null_label < 0 ? -1 : sample.label < 0 ? job.null_label : sample.label;
    shapes[static_cast<std::size_t>(sample.id)] =
        shape_of(field, sample.trajectory, sample.value, at, label, job.solver.t1 - job.solver.t0);
  });
  return mean_of(shapes, at.size());
}

}  // namespace pathline::sampler
