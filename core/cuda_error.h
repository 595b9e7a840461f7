// SPDX-License-Identifier: Apache-2.0
// Results of the CUDA runtime as errors. Only in builds with CUDA.
#pragma once

namespace pathline::core {

/// `result` is a cudaError_t; `what` says what was tried ("copying gradients"). Throws ExitCode::kEnvironment. What
/// runs on a GPU fails later than it was asked for, so the failure may belong to an earlier call.
void check_cuda(int result, const char* what);

}  // namespace pathline::core
