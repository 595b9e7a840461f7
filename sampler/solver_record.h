// SPDX-License-Identifier: Apache-2.0
// The solver's part of a job record: every option that a sample's bits depend on.
#pragma once

#include "sampler/job_record.h"
#include "sampler/solver.h"

namespace pathline::sampler {

/// Adds the options that this solver uses, each under its name on the command line.
void add_solver(const SolverOptions& solver, JobRecord& record);

}  // namespace pathline::sampler
