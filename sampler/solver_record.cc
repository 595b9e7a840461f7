// SPDX-License-Identifier: Apache-2.0
#include "sampler/solver_record.h"

namespace pathline::sampler {

void add_solver(const SolverOptions& solver, JobRecord& record) {
  for (const auto& [name, value] : settings_of(solver)) record.add(name, value);
}

}  // namespace pathline::sampler
