// SPDX-License-Identifier: Apache-2.0
#include "flow/path_table.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <sstream>
#include <vector>

#include "core/error.h"
#include "core/file_system.h"
#include "core/text.h"

namespace pathline::flow {
namespace {

constexpr auto kInput = core::ExitCode::kInput;

struct Curve {
  std::vector<double> t, y, slope;
};

/// Slopes at the knots that keep the cubics monotone: harmonic means of the neighbouring secants, 0 where they
/// disagree.
std::vector<double> monotone_slopes(const std::vector<double>& t, const std::vector<double>& y) {
  const std::size_t n = t.size();
  std::vector<double> secant(n - 1), slope(n);
  for (std::size_t i = 0; i + 1 < n; ++i) secant[i] = (y[i + 1] - y[i]) / (t[i + 1] - t[i]);
  slope.front() = secant.front();
  slope.back() = secant.back();
  for (std::size_t i = 1; i + 1 < n; ++i) {
    if (secant[i - 1] * secant[i] <= 0) continue;
    const double before = t[i] - t[i - 1], after = t[i + 1] - t[i];
    const double w1 = 2 * after + before, w2 = after + 2 * before;
    slope[i] = (w1 + w2) / (w1 / secant[i - 1] + w2 / secant[i]);
  }
  return slope;
}

/// Value and derivative at t.
std::pair<double, double> evaluated(const Curve& curve, double t) {
  const auto above = std::upper_bound(curve.t.begin() + 1, curve.t.end() - 1, t);
  const auto i = static_cast<std::size_t>(above - curve.t.begin()) - 1;
  const double h = curve.t[i + 1] - curve.t[i], u = (t - curve.t[i]) / h;
  const double y0 = curve.y[i], y1 = curve.y[i + 1], m0 = h * curve.slope[i], m1 = h * curve.slope[i + 1];
  const double value = (1 + 2 * u) * (1 - u) * (1 - u) * y0 + u * (1 - u) * (1 - u) * m0 + u * u * (3 - 2 * u) * y1 +
                       u * u * (u - 1) * m1;
  const double slope = 6 * u * (1 - u) * (y1 - y0) + (1 - u) * (1 - 3 * u) * m0 + u * (3 * u - 2) * m1;
  return {value, slope / h};
}

struct Table {
  Curve a, s;
};

/// Lines of a path's table, without comments.
std::vector<std::string> lines_of(const std::string& text, char end) {
  std::vector<std::string> lines;
  for (std::string line : core::split(text, end)) {
    const auto first = line.find_first_not_of(" \t\r");
    if (first == std::string::npos || line[first] == '#') continue;
    lines.push_back(line.substr(first, line.find_last_not_of(" \t\r") - first + 1));
  }
  return lines;
}

Table read(const std::string& text, const std::string& name) {
  Table table;
  for (const std::string& line : lines_of(text, ';')) {
    std::istringstream fields(line);
    double t = 0, a = 0, s = 0;
    std::string rest;
    PL_CHECK(fields >> t >> a >> s && !(fields >> rest), kInput, name, " has the line \"", line.substr(0, 80),
             "\"; a line of a path is three numbers t, a, s.");
    table.a.t.push_back(t);
    table.a.y.push_back(a);
    table.s.y.push_back(s);
  }
  table.s.t = table.a.t;
  return table;
}

void check(const Table& table, const std::string& name) {
  const std::vector<double>&t = table.a.t, &a = table.a.y, &s = table.s.y;
  PL_CHECK(t.size() >= 2 && t.front() == 0 && t.back() == 1, kInput, name,
           " is no path: its first line must be at t = 0 and its last at t = 1.");
  for (std::size_t i = 0; i < t.size(); ++i) {
    PL_CHECK(std::isfinite(t[i]) && a[i] >= 0 && s[i] >= 0 && std::isfinite(a[i] + s[i]) && a[i] + s[i] > 0, kInput,
             name, " is no path: at t = ", t[i], " a = ", a[i], " and s = ", s[i],
             " (neither may be negative, nor both 0).");
    PL_CHECK(i == 0 || (t[i] > t[i - 1] && a[i] * s[i - 1] > a[i - 1] * s[i]), kInput, name,
             " is no path: at t = ", t[i],
             " time or a / s does not grow (noise must become less all the way to the data).");
  }
}

}  // namespace

std::string table_lines(const std::string& file_or_lines) {
  if (file_or_lines.find(';') != std::string::npos) return file_or_lines;
  core::PosixFileSystem files;
  std::string text;
  for (const std::string& line : lines_of(core::read_text(files, file_or_lines), '\n')) {
    PL_CHECK(line.find(';') == std::string::npos, kInput, file_or_lines, " has the line \"", line.substr(0, 80),
             "\"; a line of a path is three numbers t, a, s.");
    text += (text.empty() ? "" : "; ") + line;
  }
  return text;
}

std::function<PathPoint(double t)> path_through(const std::string& lines, const std::string& name) {
  const auto table = std::make_shared<Table>(read(lines, name));
  check(*table, name);
  for (Curve* curve : {&table->a, &table->s}) curve->slope = monotone_slopes(curve->t, curve->y);
  return [table](double t) {
    const auto [a, da] = evaluated(table->a, t);
    const auto [s, ds] = evaluated(table->s, t);
    return PathPoint{a, s, da, ds};
  };
}

}  // namespace pathline::flow
