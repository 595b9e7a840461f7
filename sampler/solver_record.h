// SPDX-License-Identifier: Apache-2.0
// The solver's part of a job record: every option that a sample's bits depend on.
#pragma once

#include "sampler/generate.h"
#include "sampler/job_record.h"

namespace pathline::sampler {

/// Adds the options that this solver uses, each under its name on the command line.
void add_solver(const SolverOptions& solver, JobRecord& record);

/// A number as the shortest text that reads back as the same number.
std::string exact_text(double value);

}  // namespace pathline::sampler
