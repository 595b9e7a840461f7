// SPDX-License-Identifier: Apache-2.0
#include "sampler/diffusion.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "core/error.h"
#include "core/text.h"

namespace pathline::sampler {

Diffusion Diffusion::parse(const std::string& text) {
  const std::vector<std::string> names = {"constant", "sbdm", "sigma", "linear", "decreasing", "inc-dec"};
  const std::string name = text.substr(0, text.find(':'));
  const auto found = std::find(names.begin(), names.end(), name);
  PL_CHECK(found != names.end(), core::ExitCode::kUsage, "--diffusion ", text, " is not known. Did you mean \"",
           core::nearest_name(name, names), "\"? Known are ", core::listed(names),
           ", each with :c behind it for its strength.");
  Diffusion diffusion;
  diffusion.kind_ = static_cast<Kind>(found - names.begin());
  if (name.size() < text.size()) diffusion.c_ = core::parse_number(text.substr(name.size() + 1), "--diffusion");
  PL_CHECK(diffusion.c_ >= 0 && std::isfinite(diffusion.c_), core::ExitCode::kUsage, "--diffusion ", text,
           ": a strength is a number of at least 0.");
  return diffusion;
}

double Diffusion::operator()(double t, const flow::PathPoint& p) const {
  using std::numbers::pi;
  switch (kind_) {
    case Kind::kConstant:
      return c_;
    case Kind::kSbdm:
      return c_ * (p.da / p.a * p.s * p.s - p.s * p.ds);
    case Kind::kSigma:
      return c_ * p.s;
    case Kind::kLinear:
      return c_ * (1 - t);
    case Kind::kDecreasing:
      return std::pow(c_ * std::cos(pi * t) + 1, 2) / 4;
    case Kind::kIncDec:
      return c_ * std::pow(std::sin(pi * t), 2);
  }
  PL_ASSERT(false);
}

}  // namespace pathline::sampler
