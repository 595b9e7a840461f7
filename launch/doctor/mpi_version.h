// SPDX-License-Identifier: Apache-2.0
// The MPI that this program was built with, and the one it got.
#pragma once

#include "launch/doctor/judge_libraries.h"

namespace pathline::doctor {

/// Local; MPI need not run.
Version mpi_version();

}  // namespace pathline::doctor
