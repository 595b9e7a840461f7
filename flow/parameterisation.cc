// SPDX-License-Identifier: Apache-2.0
#include "flow/parameterisation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "core/text.h"

namespace pathline::flow {
namespace {

constexpr auto kUsage = core::ExitCode::kUsage;

/// The place of `value` in `known`.
std::size_t place_of(const char* key, const std::string& value, const std::vector<std::string>& known) {
  const auto found = std::ranges::find(known, value);
  PL_CHECK(found != known.end(), kUsage, key, " = \"", value, "\" is not known. Did you mean \"",
           core::nearest_name(value, known), "\"? Known are ", core::listed(known), ".");
  return static_cast<std::size_t>(found - known.begin());
}

/// EDM's preconditioning at noise level sigma = s / a.
struct Precondition {
  double skip = 0, out = 1, in = 1, sigma = 1;
};

Precondition precondition(const PathPoint& p, double deviation) {
  const double sigma = p.s / p.a, variance = deviation * deviation + sigma * sigma;
  return {deviation * deviation / variance, sigma * deviation / std::sqrt(variance), 1 / std::sqrt(variance), sigma};
}

/// Makes of x a state whose noise and data have squared coefficients that add up to 1.
double preserving(const PathPoint& p) { return 1 / std::hypot(p.a, p.s); }

/// Where the linear path has the same ratio of data to noise.
double linear_time(const PathPoint& p) { return p.a / (p.a + p.s); }

bool finite(std::initializer_list<double> values) {
  return std::ranges::all_of(values, [](double value) { return std::isfinite(value); });
}

bool finite(const TrainingRow& row) {
  return finite({row.input_x1, row.input_x0, row.time, row.target_x1, row.target_x0, row.weight});
}

}  // namespace

Parameterisation::Parameterisation(const Path& path, const std::string& predict, const std::string& weight)
    : path_(path) {
  const std::string name = predict.starts_with("edm:") ? "edm" : predict;
  predict_ = static_cast<Predict>(place_of("flow.predict", name, {"velocity", "x1", "noise", "score", "edm", "ddpm"}));
  if (name != predict) data_deviation_ = core::parse_number(predict.substr(4), "the deviation in flow.predict");
  weight_ =
      static_cast<Weight>(place_of("flow.weight", weight, {"auto", "none", "velocity", "likelihood", "sigma2", "edm"}));
  PL_CHECK(data_deviation_ > 0, kUsage, "flow.predict = \"", predict, "\": the data's deviation must be positive.");
  PL_CHECK(path_.jitter() == 0 || predict_ == Predict::kVelocity, kUsage, "flow.predict = \"", predict,
           "\" does not go with path \"", path_.text(),
           "\" (x_t holds more noise than x0, so an answer does not tell "
           "the velocity). Use predict = \"velocity\".");
  PL_CHECK(
      predict_ != Predict::kScore || weight_ != Weight::kNone || !path_.ends_on_data(), kUsage,
      "flow.predict = \"score\" with flow.weight = \"none\" on path \"", path_.text(),
      "\": the loss grows like 1 / s^2 where the path ends on data, and nothing else would be learned. Use weight = "
      "\"auto\", or a path that ends with noise, such as \"ve:0.01,50\".");
}

double Parameterisation::velocity_by_answer(const PathPoint& p) const {
  switch (predict_) {
    case Predict::kVelocity:
      return 1;
    case Predict::kX1:
      return p.determinant() / p.s;
    case Predict::kNoise:
    case Predict::kDdpm:
      return -p.determinant() / p.a;
    case Predict::kScore:
      return p.s * p.determinant() / p.a;
    case Predict::kEdm:
      return p.determinant() / p.s * precondition(p, data_deviation_).out;
  }
  PL_ASSERT(false);
}

double Parameterisation::weight_at(const PathPoint& p) const {
  const double by_answer = velocity_by_answer(p), det = p.determinant();
  switch (weight_) {
    case Weight::kAuto:
      return predict_ == Predict::kScore ? p.s * p.s : 1;
    case Weight::kNone:
      return 1;
    case Weight::kVelocity:
      return by_answer * by_answer;
    case Weight::kLikelihood:
      return by_answer * by_answer * p.a / (det * p.s);
    case Weight::kSigma2:
      return p.s * p.s;
    case Weight::kEdm: {
      const double out = precondition(p, data_deviation_).out, by_x1 = det / p.s;
      return by_answer * by_answer / (by_x1 * by_x1 * out * out);
    }
  }
  PL_ASSERT(false);
}

TrainingRow Parameterisation::training_row(double t) const {
  const PathPoint p = path_.at(t);
  TrainingRow row{p.a, p.s, t, 0, 0, weight_at(p)};
  switch (predict_) {
    case Predict::kVelocity:
      row.target_x1 = p.da;
      row.target_x0 = p.ds;
      break;
    case Predict::kX1:
      row.target_x1 = 1;
      break;
    case Predict::kNoise:
      row.target_x0 = 1;
      break;
    case Predict::kScore:
      row.target_x0 = -1 / p.s;
      break;
    case Predict::kEdm: {
      const Precondition c = precondition(p, data_deviation_);
      row.input_x1 *= c.in / p.a;
      row.input_x0 *= c.in / p.a;
      row.time = std::log(c.sigma) / 4;
      row.target_x1 = (1 - c.skip) / c.out;
      row.target_x0 = -c.skip * c.sigma / c.out;
      break;
    }
    case Predict::kDdpm:
      row.input_x1 *= preserving(p);
      row.input_x0 *= preserving(p);
      row.time = linear_time(p);
      row.target_x0 = 1;
      break;
  }
  return row;
}

SamplingRow Parameterisation::sampling_row(double t) const {
  const PathPoint p = path_.at(t);
  SamplingRow row{1, t, 0, velocity_by_answer(p)};
  if (predict_ == Predict::kX1) row.velocity_x = p.ds / p.s;
  if (predict_ == Predict::kNoise || predict_ == Predict::kScore || predict_ == Predict::kDdpm) {
    row.velocity_x = p.da / p.a;
  }
  if (predict_ == Predict::kDdpm) {
    row.input = preserving(p);
    row.time = linear_time(p);
  }
  if (predict_ == Predict::kEdm) {
    const Precondition c = precondition(p, data_deviation_);
    row.input = c.in / p.a;
    row.time = std::log(c.sigma) / 4;
    row.velocity_x = (p.ds + p.determinant() * c.skip / p.a) / p.s;
  }
  return row;
}

TimeInterval Parameterisation::training_times() const {
  const bool rooted = !std::isfinite(path_.at(1).ds);  // s falls like a square root
  const double margin = rooted ? 1e-5 : 1e-3;
  return {finite(training_row(0)) ? 0 : margin, finite(training_row(1)) ? 1 : 1 - margin};
}

TimeInterval Parameterisation::sampling_times() const {
  constexpr double kMargin = 1e-3;
  const auto regular = [this](double t) {
    const PathPoint p = path_.at(t);
    const SamplingRow row = sampling_row(t);
    const TrainingRow answer = training_row(t);
    return finite({row.input, row.time, row.velocity_x, row.velocity_f, answer.target_x1, answer.target_x0, p.da, p.ds,
                   1 / p.determinant()});
  };
  return {regular(0) ? 0 : kMargin, regular(1) ? 1 : 1 - kMargin};
}

}  // namespace pathline::flow
