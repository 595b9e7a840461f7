// SPDX-License-Identifier: Apache-2.0
#include "sampler/likelihood.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <numbers>
#include <utility>

#include "core/error.h"
#include "core/random.h"
#include "sampler/slot_engine.h"
#include "sampler/solver.h"

namespace pathline::sampler {
namespace {

/// One solve: a datum with one of its probes.
struct Solve {
  std::int64_t datum = 0;
  std::int64_t label = 0;
  std::int64_t number = 0;  // of the probe
  at::Tensor probe;         // (1, sample...) of -1 and 1; undefined where exact
};

at::Tensor random_signs(std::uint64_t seed, std::int64_t id, std::int64_t probe,
                        const std::vector<std::int64_t>& shape) {
  std::vector<std::int64_t> row = {1};
  row.insert(row.end(), shape.begin(), shape.end());
  at::Tensor signs = at::empty(row, at::kFloat);
  const std::span<float> values(signs.mutable_data_ptr<float>(), static_cast<std::size_t>(signs.numel()));
  core::Draws(seed, static_cast<std::uint64_t>(id), core::Purpose::kLikelihoodProbe, static_cast<std::uint32_t>(probe))
      .fill_uniform(values);
  for (float& value : values) value = value < 0.5f ? -1.0f : 1.0f;
  return signs;
}

/// d (v . direction) / dx.
at::Tensor derivative(const at::Tensor& v, const at::Tensor& x, const at::Tensor& direction) {
  const auto gradients = torch::autograd::grad({v}, {x}, {direction}, /*retain_graph=*/true, /*create_graph=*/false,
                                               /*allow_unused=*/true);
  return gradients[0].defined() ? gradients[0] : at::zeros_like(x);
}

/// (S): sum_i dv_i / dx_i.
at::Tensor exact_divergence(const at::Tensor& v, const at::Tensor& x) {
  at::Tensor sum = at::zeros({x.size(0)}, at::kDouble);
  const std::int64_t n = x.numel() / x.size(0);
  for (std::int64_t i = 0; i < n; ++i) {
    at::Tensor direction = at::zeros_like(v);
    direction.view({-1, n}).select(1, i).fill_(1.0);
    sum += derivative(v, x, direction).reshape({-1, n}).select(1, i).to(at::kDouble);
  }
  return sum;
}

/// (S): z . (dv/dx)^T z.
at::Tensor estimated_divergence(const at::Tensor& v, const at::Tensor& x, const at::Tensor& z) {
  return (derivative(v, x, z) * z).to(at::kDouble).flatten(1).sum(1);
}

class Densities final {
 public:
  Densities(const Field& field, const LikelihoodOptions& options, std::vector<std::int64_t> shape, bool labelled)
      : field_(field), options_(options), shape_(std::move(shape)), labelled_(labelled) {
    for (const std::int64_t extent : shape_) elements_ *= extent;
  }

  void run(const std::function<std::optional<Datum>()>& next, const std::function<void(const LogDensity&)>& emit) {
    SolverOptions solver = options_.solver;
    solver.t0 = options_.data_time;
    solver.t1 = options_.noise_time;
    solver.tail = 1;
    const GuidedField augmented{[this](const at::Tensor& rows, const at::Tensor& t, const at::Tensor& numbers) {
      return slope(rows, t, numbers);
    }};
    SlotEngine<double> engine(augmented, method_maker<double>(solver, elements_ + 1, {}), {elements_ + 1},
                              options_.slots, true);
    engine.run([&] { return next_solve(next); }, [&](Finish&& finish) { collect(finish, emit); });
  }

 private:
  std::int64_t solves_of_datum() const { return options_.exact ? 1 : options_.probes; }

  /// The engine carries the number of a solve where it carries labels otherwise.
  std::optional<Start> next_solve(const std::function<std::optional<Datum>()>& next) {
    if (waiting_.empty()) {
      const std::optional<Datum> datum = next();
      if (!datum) return std::nullopt;
      for (std::int64_t k = 0; k < solves_of_datum(); ++k) {
        at::Tensor probe;
        if (!options_.exact) probe = random_signs(options_.seed, datum->id, k, shape_);
        solves_[++last_] = {datum->id, datum->label, k, probe};
        const at::Tensor x = datum->x.to(at::kDouble).flatten();
        waiting_.push_back({last_, last_, at::cat({x, at::zeros({1}, at::kDouble)}), 1.0});
      }
    }
    const Start start = std::move(waiting_.front());
    waiting_.pop_front();
    return start;
  }

  /// Rows (S, D + 1) of state and log-density; numbers (S) of solves, 0 in empty slots.
  at::Tensor slope(const at::Tensor& rows, const at::Tensor& t, const at::Tensor& numbers) const {
    const at::AutoGradMode with_gradients(true);
    const std::int64_t slots = rows.size(0);
    std::vector<std::int64_t> batch = {slots};
    batch.insert(batch.end(), shape_.begin(), shape_.end());
    const at::Tensor x = rows.narrow(1, 0, elements_).to(at::kFloat).reshape(batch).detach().requires_grad_(true);
    at::Tensor labels, z = at::zeros(batch, at::kFloat);
    if (labelled_) labels = at::zeros({slots}, at::kLong);
    for (std::int64_t s = 0; s < slots; ++s) {
      const auto found = solves_.find(numbers.const_data_ptr<std::int64_t>()[s]);
      if (found == solves_.end()) continue;
      if (labelled_) labels.mutable_data_ptr<std::int64_t>()[s] = found->second.label;
      if (!options_.exact) z.narrow(0, s, 1).copy_(found->second.probe);
    }
    const at::Tensor v = field_(x, t.to(at::kFloat), labels);
    const at::Tensor divergence = options_.exact ? exact_divergence(v, x) : estimated_divergence(v, x, z);
    return at::cat({v.detach().to(at::kDouble).reshape({slots, elements_}), divergence.unsqueeze(1)}, 1);
  }

  void collect(const Finish& finish, const std::function<void(const LogDensity&)>& emit) {
    const auto solve = solves_.extract(finish.id);
    Sums& sums = sums_[solve.mapped().datum];
    sums.values.resize(static_cast<std::size_t>(solves_of_datum()));
    const double* row = finish.x.const_data_ptr<double>();
    const double deviation = options_.noise_deviation,
                 normaliser = std::log(2 * std::numbers::pi * deviation * deviation);
    double log_p = row[elements_];  // minus the integral of the divergence from noise to data
    for (std::int64_t i = 0; i < elements_; ++i) {
      const double z = row[i] / deviation;
      log_p -= 0.5 * (z * z + normaliser);
    }
    sums.values[static_cast<std::size_t>(solve.mapped().number)] = log_p;
    sums.nfe += finish.nfe;
    if (failed(finish.outcome)) sums.outcome = std::max(sums.outcome, finish.outcome);
    if (++sums.done < solves_of_datum()) return;
    emit(sums.result(solve.mapped().datum, options_.exact));
    sums_.erase(solve.mapped().datum);
  }

  struct Sums {
    std::vector<double> values;  // by probe, whichever was done first: sums keep their order
    std::int64_t done = 0, nfe = 0;
    Outcome outcome = Outcome::kDone;

    LogDensity result(std::int64_t id, bool exact) const {
      const double n = static_cast<double>(values.size());
      double mean = 0, squares = 0;
      for (const double value : values) mean += value / n;
      for (const double value : values) squares += (value - mean) * (value - mean);
      const double error = exact ? 0 : std::sqrt(squares / (n - 1) / n);  // NaN for one probe: 0 / 0
      return {id, mean, error, nfe, outcome};
    }
  };

  const Field field_;
  const LikelihoodOptions options_;
  const std::vector<std::int64_t> shape_;
  const bool labelled_;
  std::int64_t elements_ = 1, last_ = 0;
  std::deque<Start> waiting_;
  std::map<std::int64_t, Solve> solves_;  // under way, by their numbers from 1
  std::map<std::int64_t, Sums> sums_;
};

}  // namespace

void log_densities(const Field& field, const LikelihoodOptions& options, const std::vector<std::int64_t>& shape,
                   bool labelled, const std::function<std::optional<Datum>()>& next,
                   const std::function<void(const LogDensity&)>& emit) {
  PL_CHECK(find_solver(options.solver.solver).family == SolverFamily::kRungeKutta, core::ExitCode::kUsage,
           "likelihood needs a Runge-Kutta method, not ", options.solver.solver, " (the flow is followed backwards).");
  PL_CHECK(!options.solver.guides(), core::ExitCode::kUsage,
           "likelihood was asked with guidance (a guided field is no flow of the data's law). Leave --guidance out.");
  PL_CHECK(options.exact || options.probes > 0, core::ExitCode::kUsage, "--probes is ", options.probes,
           "; the divergence is estimated with at least 1.");
  Densities(field, options, shape, labelled).run(next, emit);
}

Field with_derivative(const Field& field) {
  return [field](const at::Tensor& rows, const at::Tensor& t, const at::Tensor& labels) {
    const at::AutoGradMode with_gradients(true);
    const at::Tensor x = rows.detach().requires_grad_(true);
    const at::Tensor v = field(x, t, labels);
    return at::cat({v.detach().flatten(1), derivative(v, x, rows.sign()).flatten(1)}, 1);
  };
}

double bits_per_dimension(double log_p, std::int64_t dimensions) {
  return -log_p / (static_cast<double>(dimensions) * std::numbers::ln2) + std::log2(127.5);
}

at::Tensor dequantized(const at::Tensor& pixels, std::uint64_t seed, std::int64_t id, bool dequantize) {
  if (!dequantize) return pixels.to(at::kFloat) / 127.5 - 1;
  at::Tensor u = at::empty(pixels.sizes(), at::kFloat);
  core::Draws(seed, static_cast<std::uint64_t>(id), core::Purpose::kLikelihoodDequantize)
      .fill_uniform({u.mutable_data_ptr<float>(), static_cast<std::size_t>(u.numel())});
  return (pixels.to(at::kFloat) + u - 0.5) / 127.5 - 1;
}

}  // namespace pathline::sampler
