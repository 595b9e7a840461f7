// SPDX-License-Identifier: Apache-2.0
#include "flow/time_law.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/text.h"

namespace pathline::flow {
namespace {

constexpr char kLogitNormal[] = "logit-normal:";
constexpr float kLargestTime = 0x1.fffffep-1f;  // the float before 1: sigmoid rounds up to 1 far out in the tail

}  // namespace

TimeLaw TimeLaw::parse(const std::string& text) {
  TimeLaw law;
  if (text == "uniform") return law;
  PL_CHECK(text.starts_with(kLogitNormal), core::ExitCode::kUsage, "flow.time = \"", text,
           "\" is not a law of time. Use \"uniform\" or \"logit-normal:m,s\", for example \"logit-normal:0,1\".");
  const auto parameters = core::split(text.substr(sizeof(kLogitNormal) - 1), ',');
  PL_CHECK(parameters.size() == 2, core::ExitCode::kUsage, "flow.time = \"", text,
           "\" needs a mean and a deviation, for example \"logit-normal:0,1\".");
  law.kind_ = Kind::kLogitNormal;
  law.mean_ = core::parse_number(parameters[0], "the mean in flow.time");
  law.deviation_ = core::parse_number(parameters[1], "the deviation in flow.time");
  PL_CHECK(law.deviation_ > 0, core::ExitCode::kUsage, "flow.time = \"", text,
           "\" has a deviation that is not positive. Use \"logit-normal:m,s\" with s > 0.");
  return law;
}

float TimeLaw::operator()(const core::Draws& draws) const {
  if (kind_ == Kind::kUniform) return draws.uniform(0);
  const double logit = mean_ + deviation_ * static_cast<double>(draws.normal(0));
  return std::min(static_cast<float>(1.0 / (1.0 + std::exp(-logit))), kLargestTime);
}

}  // namespace pathline::flow
