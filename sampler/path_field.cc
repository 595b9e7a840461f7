// SPDX-License-Identifier: Apache-2.0
#include "sampler/path_field.h"

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "flow/interpolate.h"
#include "sampler/noise_schedule.h"
#include "sampler/solver.h"

namespace pathline::sampler {
namespace {

using flow::of_times;

/// A time on the path trained on with the noise level of another's, and how it moves with the other's time r.
struct Moved {
  double t = 0, scale = 1;                // c
  double velocity_x = 0, velocity_u = 1;  // of the other path: velocity_x x + velocity_u u_t(x / c)
};

Moved moved(const flow::Parameterisation& trained, const flow::Path& wanted, double r) {
  const flow::PathPoint q = wanted.at(r);
  const flow::TimeInterval times = trained.sampling_times();
  const double t = std::clamp(trained.path().time_of(q.a / q.s), times.first, times.last);  // roundings of the ends
  const flow::PathPoint p = trained.path().at(t);
  const double speed = p.s * p.s * q.determinant() / (q.s * q.s * p.determinant());
  const double scale = q.s / p.s;
  return {t, scale, q.ds / q.s - p.ds / p.s * speed, scale * speed};
}

/// Times of `wanted` whose noise levels the path trained on has, too.
flow::TimeInterval shared_times(const flow::Parameterisation& trained, const flow::Path& wanted) {
  constexpr double kMargin = 1e-3;  // from the ends, where the scale of the one to the other becomes 0 / 0
  const auto same_level = [&](double t) {
    const flow::PathPoint p = trained.path().at(t);
    return wanted.time_of(p.a / p.s);
  };
  const flow::TimeInterval times = trained.sampling_times();
  return {std::max(kMargin, same_level(times.first)), std::min(1 - kMargin, same_level(times.last))};
}

}  // namespace

NetworkAnswer answer_for(const flow::Parameterisation& trained) {
  return trained.gives_own_time() ? NetworkAnswer::kAsOriginal : NetworkAnswer::kVelocity;
}

Field velocity_of(Field answers, const flow::Parameterisation& trained) {
  if (trained.predicts_velocity()) return answers;
  return [answers = std::move(answers), trained](const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels) {
    const auto factor = [&](double flow::SamplingRow::*member) {
      return flow::as_row_factors(of_times(t, [&](double at) { return trained.sampling_row(at).*member; }), x);
    };
    const at::Tensor time = of_times(t, [&](double at) { return trained.sampling_row(at).time; }).to(t.scalar_type());
    const at::Tensor answer = answers(factor(&flow::SamplingRow::input) * x, time, labels);
    return factor(&flow::SamplingRow::velocity_x) * x + factor(&flow::SamplingRow::velocity_f) * answer;
  };
}

Field along_path(Field velocity, const flow::Parameterisation& trained, const flow::Path& wanted) {
  return [velocity = std::move(velocity), trained, wanted](const at::Tensor& x, const at::Tensor& r,
                                                           const at::Tensor& labels) {
    const auto factor = [&](double Moved::*member) {
      return of_times(r, [&](double at) { return moved(trained, wanted, at).*member; });
    };
    const at::Tensor u =
        velocity(x / flow::as_row_factors(factor(&Moved::scale), x), factor(&Moved::t).to(r.scalar_type()), labels);
    return flow::as_row_factors(factor(&Moved::velocity_x), x) * x +
           flow::as_row_factors(factor(&Moved::velocity_u), x) * u;
  };
}

Field noise_at_indices(Field velocity, const flow::Parameterisation& trained, const std::string& schedule) {
  struct Place {
    double t = 0, scale = 1, noise_x = 0, noise_v = 0;
  };
  const auto place = [trained, table = alpha_bars(schedule)](double index) {
    const double bar = table.at(static_cast<std::size_t>(index)), s = std::sqrt(1 - bar);
    const flow::TimeInterval times = trained.sampling_times();
    const double t = std::clamp(trained.path().time_of(std::sqrt(bar) / s), times.first, times.last);
    const flow::PathPoint p = trained.path().at(t);
    const flow::OfState noise = flow::noise_of(p);
    return Place{t, p.s / s, noise.x, noise.v};
  };
  return
      [velocity = std::move(velocity), place](const at::Tensor& x, const at::Tensor& index, const at::Tensor& labels) {
        const auto factor = [&](double Place::*member) {
          return of_times(index, [&](double at) { return place(at).*member; });
        };
        const at::Tensor state = x * flow::as_row_factors(factor(&Place::scale), x);
        const at::Tensor v = velocity(state, factor(&Place::t).to(index.scalar_type()), labels);
        return flow::as_row_factors(factor(&Place::noise_x), x) * state +
               flow::as_row_factors(factor(&Place::noise_v), x) * v;
      };
}

void follow_path(SolverOptions& options, const flow::Parameterisation& trained, const std::string& wanted,
                 bool normal_start) {
  const flow::Path path = wanted.empty() ? trained.path() : flow::Path::parse(wanted);
  const bool moves = path.text() != trained.path().text();
  PL_CHECK(!moves || (path.jitter() == 0 && trained.path().jitter() == 0), core::ExitCode::kUsage, "--path ", wanted,
           " does not go with a model trained on path ", trained.path().text(),
           " (where x_t holds more noise than x0, a noise level is not that of another path). Leave it out.");
  const flow::TimeInterval times = moves ? shared_times(trained, path) : trained.sampling_times();
  const Solver solver = find_solver(options.solver);
  const bool integrates = solver.family == SolverFamily::kRungeKutta || solver.name == "ab2";
  options.path = path.text();
  options.t0 = times.first;
  options.t1 = integrates ? times.last : 1.0;  // the others end on the data by themselves
  options.start_scale = normal_start ? path.noise_at(times.first) : path.at(times.first).s;
  options.denoise = integrates && (moves || trained.ends_on_noise());
  for (double& time : options.trajectories) {
    if (time >= 0 && time <= 1) time = std::clamp(time, options.t0, options.t1);  // others are refused later
  }
}

void narrow_times(SolverOptions& options, std::optional<double> t0, std::optional<double> t1, bool normal_start) {
  if (!t0 && !t1) return;
  const double from = t0.value_or(options.t0), to = t1.value_or(options.t1);
  PL_CHECK(options.t0 <= from && from < to && to <= options.t1, core::ExitCode::kUsage, "--t0 ", from, " --t1 ", to,
           " is no interval of times of flow between ", options.t0, " (noise) and ", options.t1,
           " (data), where this model can be followed. Choose two times there, the smaller one first.");
  PL_CHECK(options.noise_schedule.empty(), core::ExitCode::kUsage, "--t0 and --t1 are times of flow, and solver ",
           options.solver, " goes through discrete ones (--noise-schedule). Leave them out, or use another solver.");
  if (t0) {
    const flow::Path path = flow::Path::parse(options.path);
    options.start_scale = normal_start ? path.noise_at(from) : path.at(from).s;
  }
  if (t1) options.denoise = false;
  options.t0 = from;
  options.t1 = to;
}

}  // namespace pathline::sampler
