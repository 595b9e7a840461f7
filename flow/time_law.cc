// SPDX-License-Identifier: Apache-2.0
#include "flow/time_law.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/text.h"

namespace pathline::flow {
namespace {

constexpr auto kUsage = core::ExitCode::kUsage;

/// Below 1: sigmoid and its like round up to 1 far out in the tail.
float below_one(double t) { return std::min(static_cast<float>(t), 0x1.fffffep-1f); }

/// The `count` numbers behind the colon.
std::vector<double> parameters_of(const std::string& text, std::size_t count, const char* example) {
  std::vector<double> numbers;
  for (const std::string& part : core::split(text.substr(text.find(':') + 1), ',')) {
    numbers.push_back(core::parse_number(part, "flow.time"));
  }
  PL_CHECK(numbers.size() == count, kUsage, "flow.time = \"", text, "\" needs ", count,
           count == 1 ? " number" : " numbers", ", for example \"", example, "\".");
  return numbers;
}

std::pair<double, double> mean_and_deviation(const std::string& text, const char* example) {
  const std::vector<double> numbers = parameters_of(text, 2, example);
  PL_CHECK(numbers[1] > 0, kUsage, "flow.time = \"", text, "\" has a deviation that is not positive. Write it as in \"",
           example, "\".");
  return {numbers[0], numbers[1]};
}

double mode(double u, double k) {
  const double c = std::cos(std::numbers::pi / 2 * u);
  return u + k * (c * c - 1 + u);
}

}  // namespace

TimeLaw TimeLaw::parse(const std::string& text, const Path& path) {
  TimeLaw law;
  if (text == "uniform") return law;
  if (text.starts_with("logit-normal:")) {
    const auto [mean, deviation] = mean_and_deviation(text, "logit-normal:0,1");
    law.law_ = [mean, deviation](const core::Draws& draws) {
      const double logit = mean + deviation * static_cast<double>(draws.normal(0));
      return below_one(1.0 / (1.0 + std::exp(-logit)));
    };
  } else if (text.starts_with("mode:")) {
    const double k = parameters_of(text, 1, "mode:1.29")[0];
    PL_CHECK(k >= -1 && k <= 2 / (std::numbers::pi - 2), kUsage, "flow.time = \"", text,
             "\" is no law (beyond -1 to 2 / (pi - 2) = 1.75 times would run backwards). Use mode:1.29.");
    law.law_ = [k](const core::Draws& draws) { return below_one(mode(draws.uniform(0), k)); };
  } else if (text == "cosmap") {
    law.law_ = [](const core::Draws& draws) {
      return below_one(1 - 1 / (std::tan(std::numbers::pi / 2 * draws.uniform(0)) + 1));
    };
  } else if (text.starts_with("edm:")) {
    const auto [mean, deviation] = mean_and_deviation(text, "edm:-1.2,1.2");
    law.law_ = [mean, deviation, path](const core::Draws& draws) {
      return below_one(path.time_of(std::exp(-(mean + deviation * static_cast<double>(draws.normal(0))))));
    };
  } else {
    throw core::Error(kUsage, core::concat("flow.time = \"", text, "\" is not a law of time. Use \"uniform\", ",
                                           "\"logit-normal:m,s\", for example \"logit-normal:0,1\", \"mode:k\", ",
                                           "\"cosmap\" or \"edm:m,s\"."));
  }
  return law;
}

}  // namespace pathline::flow
