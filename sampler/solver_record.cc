// SPDX-License-Identifier: Apache-2.0
#include "sampler/solver_record.h"

#include <charconv>

#include "sampler/tableau.h"

namespace pathline::sampler {

std::string exact_text(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

void add_solver(const SolverOptions& solver, JobRecord& record) {
  record.add("solver", find_tableau(solver.solver).name);
  if (find_tableau(solver.solver).adaptive()) {
    record.add("rtol", exact_text(solver.rtol));
    record.add("atol", exact_text(solver.atol));
  } else {
    record.add("steps", std::to_string(solver.steps));
  }
  record.add("guidance", exact_text(solver.guidance));
}

}  // namespace pathline::sampler
