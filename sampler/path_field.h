// SPDX-License-Identifier: Apache-2.0
// From what a network answers to the field that solvers follow: its velocity on the path it was trained on, on another
// path, or the noise that solvers with discrete times want.
#pragma once

#include <optional>
#include <string>

#include "flow/parameterisation.h"
#include "sampler/field.h"
#include "sampler/gpu_field.h"
#include "sampler/solver_options.h"

namespace pathline::sampler {

/// How a network must be asked so that velocity_of() understands its answer.
NetworkAnswer answer_for(const flow::Parameterisation& trained);

/// The velocity that `answers` imply, differentiable in x. Not defined outside trained.sampling_times().
Field velocity_of(Field answers, const flow::Parameterisation& trained);

/// The velocity along `wanted` that follows from one along the path trained on: with rho = a / s and A, S of `wanted`
/// at r, t = rho^-1(A / S) and c = S / s(t), u_r(x) = (c'/c) x + c t' u_t(x / c) (Lipman et al., "Flow matching guide
/// and code", arXiv 2412.06264, section 4.6.2).
Field along_path(Field velocity, const flow::Parameterisation& trained, const flow::Path& wanted);

/// The noise at the indices of a discrete schedule ("ddpm-linear", "cosine") that the velocity of a path implies: x of
/// variance a^2 + s^2 = 1 is scaled to the state of the same noise level.
Field noise_at_indices(Field velocity, const flow::Parameterisation& trained, const std::string& schedule);

/// Fills in the path, the times and how the last step is done, for a network trained so; `wanted`: along which path,
/// "" for that of training. `normal_start`: x0 is normal noise (flow.source), so that noise beside the path adds to its
/// deviation; samples of another source begin on x0 itself. options.solver is set already. Throws ExitCode::kUsage for
/// solvers that do not fit.
void follow_path(SolverOptions& options, const flow::Parameterisation& trained, const std::string& wanted,
                 bool normal_start = true);

/// After follow_path(): only between these times of it, where they are given. Samples then begin on noise of the
/// deviation s(t0), and are the states at t1, with what noise is in them. Throws ExitCode::kUsage for times that the
/// path, or the solver, does not have.
void narrow_times(SolverOptions& options, std::optional<double> t0, std::optional<double> t1, bool normal_start = true);

}  // namespace pathline::sampler
