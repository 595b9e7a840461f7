// SPDX-License-Identifier: Apache-2.0
// Samples and densities of a model that maps noise to data in one go.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "model/bijection.h"
#include "sampler/field.h"
#include "sampler/likelihood.h"
#include "sampler/solver_options.h"

namespace pathline::sampler {

/// x(1) - x(0) for x(0) = x, at any time: one Euler step from noise gives the sample. `model` must outlive it.
Field one_step_field_of(model::Bijection& model);

/// `asked` with the solver that follows one_step_field_of(). Throws ExitCode::kUsage where a solver (other than the
/// default and euler) or guidance was asked for.
SolverOptions in_one_step(const SolverOptions& asked);

/// Log-density of every datum that `next` gives, by change of variables, in their order; `slots` items at a time, of
/// which empty rows are zero, so that a figure depends on no other datum. `labelled`: as in SlotEngine. The error is 0,
/// one evaluation each. Local.
void log_densities(model::Bijection& model, std::int64_t slots, bool labelled,
                   const std::function<std::optional<Datum>()>& next,
                   const std::function<void(const LogDensity&)>& emit);

}  // namespace pathline::sampler
