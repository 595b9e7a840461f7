// SPDX-License-Identifier: Apache-2.0
#include "flow/path.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "core/error.h"
#include "core/text.h"
#include "flow/path_table.h"

namespace pathline::flow {
namespace {

constexpr auto kUsage = core::ExitCode::kUsage;

/// s = sqrt(1 - a^2) for a given a and a'.
PathPoint variance_preserving(double a, double da) {
  const double s = std::sqrt(std::max(0.0, (1 - a) * (1 + a)));
  return {a, s, da, s > 0 ? -a * da / s : -std::numeric_limits<double>::infinity()};
}

PathPoint polynomial(double t, double n) {
  const double power = std::pow(t, n), slope = n * std::pow(t, n - 1);
  return {power, 1 - power, slope, -slope};
}

PathPoint cosine(double t) {
  if (t == 1) return {1, 0, 0, -std::numbers::pi / 2};  // cos(pi / 2) rounds to something else
  const double angle = std::numbers::pi / 2 * t;
  return {std::sin(angle), std::cos(angle), std::numbers::pi / 2 * std::cos(angle),
          -std::numbers::pi / 2 * std::sin(angle)};
}

PathPoint vp(double t, double low, double high) {
  const double u = 1 - t, half = (u * u * (high - low) / 2 + u * low) / 2;
  const double a = std::exp(-half);
  const double s = std::sqrt(-std::expm1(-2 * half)), da = a * (u * (high - low) + low) / 2;
  return {a, s, da, s > 0 ? -a * da / s : -std::numeric_limits<double>::infinity()};
}

PathPoint ou(double t, double duration) {
  const double a = std::exp(-duration * (1 - t)), s = std::sqrt(-std::expm1(-2 * duration * (1 - t)));
  return {a, s, duration * a, s > 0 ? -duration * a * a / s : -std::numeric_limits<double>::infinity()};
}

PathPoint ve(double t, double low, double high) {
  const double rate = std::log(high / low), s = low * std::exp(rate * (1 - t));
  return {1, s, 0, -rate * s};
}

/// The numbers behind the colon.
std::vector<double> parameters_of(const std::string& text) {
  std::vector<double> numbers;
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) return numbers;
  for (const std::string& part : core::split(text.substr(colon + 1), ',')) {
    numbers.push_back(core::parse_number(part, "flow.path"));
  }
  return numbers;
}

/// `count` parameters, or the defaults where there are none.
std::vector<double> expect(const std::string& text, std::size_t count, std::vector<double> defaults = {}) {
  std::vector<double> numbers = parameters_of(text);
  if (numbers.empty() && !defaults.empty()) return defaults;
  PL_CHECK(numbers.size() == count, kUsage, "path \"", text, "\" has ", numbers.size(),
           " numbers behind its colon; it ", count == 0 ? "takes none." : core::concat("takes ", count, "."));
  return numbers;
}

void require(bool good, const std::string& text, const char* what) {
  PL_CHECK(good, kUsage, "path \"", text, "\" is none: ", what, ".");
}

}  // namespace

Path Path::parse(const std::string& text) {
  const std::vector<std::string> names = {"linear", "icfm", "polynomial", "cosine", "linear-vp",
                                          "vp",     "ou",   "ve",         "table"};
  const std::string name = text.substr(0, text.find(':'));
  Path path;
  path.text_ = text;
  if (name == "linear") {
    const double end = expect(text, 1, {0.0})[0];
    require(end >= 0 && end < 1, text, "the deviation at t = 1 must be at least 0 and below 1");
    path.at_ = [end](double t) { return PathPoint{t, 1 - (1 - end) * t, 1, end - 1}; };
    if (end == 0) path.text_ = name;
  } else if (name == "icfm") {
    path.jitter_ = expect(text, 1)[0];
    require(path.jitter_ >= 0, text, "the deviation must be at least 0");
    path.at_ = linear_point;
  } else if (name == "polynomial") {
    const double n = expect(text, 1)[0];
    require(n >= 1, text, "the power must be at least 1");
    path.at_ = [n](double t) { return polynomial(t, n); };
  } else if (name == "cosine") {
    expect(text, 0);
    path.at_ = cosine;
  } else if (name == "linear-vp") {
    expect(text, 0);
    path.at_ = [](double t) { return variance_preserving(t, 1); };
  } else if (name == "vp") {
    const std::vector<double> b = expect(text, 2, {0.1, 20});
    require(b[0] > 0 && b[1] >= b[0], text, "the rates must be positive, the smaller one first");
    path.at_ = [b](double t) { return vp(t, b[0], b[1]); };
    if (b[0] == 0.1 && b[1] == 20) path.text_ = name;
  } else if (name == "ou") {
    const double duration = expect(text, 1)[0];
    require(duration > 0, text, "the time must be positive");
    path.at_ = [duration](double t) { return ou(t, duration); };
  } else if (name == "ve") {
    const std::vector<double> s = expect(text, 2);
    require(s[0] > 0 && s[1] > s[0], text, "the deviations must be positive, the smaller one first");
    path.at_ = [s](double t) { return ve(t, s[0], s[1]); };
  } else if (name == "table") {
    const std::string lines = table_lines(text.substr(std::min(text.size(), name.size() + 1)));
    path.at_ = path_through(lines, "path " + text.substr(0, 80));
    path.text_ = name + ":" + lines;
  } else {
    throw core::Error(kUsage,
                      core::concat("there is no path \"", text, "\". Did you mean \"", core::nearest_name(name, names),
                                   "\"? Known are ", core::listed(names), "."));
  }
  return path;
}

// x_t is normal about a x1 with the variance N = s^2 + jitter^2, so that the score is -(x - a E[x1 | x]) / N, and of
// the noise x0 is expected s (x - a E[x1 | x]) / N = -s score. Hence v = a' E[x1 | x] + s' E[x0 | x] with E[x1 | x] =
// (x + N score) / a.
double Path::score_factor(double t) const {
  const PathPoint p = at(t);
  return p.da / p.a * (p.s * p.s + jitter_ * jitter_) - p.s * p.ds;
}

double Path::noise_at(double t) const { return std::hypot(at(t).s, jitter_); }

double Path::time_of(double ratio) const {
  double low = 0, high = 1;
  const auto below = [&](double t) {
    const PathPoint p = at(t);
    return p.a < ratio * p.s;
  };
  if (!below(0)) return 0;
  if (below(1) || !std::isfinite(ratio)) return 1;
  for (int halvings = 0; halvings < 60; ++halvings) {  // beyond the spacing of doubles in [0.5, 1]
    const double middle = (low + high) / 2;
    (below(middle) ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace pathline::flow
