// SPDX-License-Identifier: Apache-2.0
// The promise that a sample does not depend on its batch mates rests on the network's kernels; this asks them.
#pragma once

#include "sampler/generate.h"

namespace pathline::sampler {

/// Evaluates the field on the job's full shape twice, between the solver's times, the second time with the rows in
/// another order, and compares bit by bit. Throws ExitCode::kEnvironment if a row's bits depend on its place (some
/// kernels split odd shapes unevenly over threads). Costs two evaluations.
void check_rows_independent(const Field& field, const Job& job);

}  // namespace pathline::sampler
