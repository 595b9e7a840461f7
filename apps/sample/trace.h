// SPDX-License-Identifier: Apache-2.0
// `pathline sample --trace ID`: why one sample takes the evaluations that it takes.
#pragma once

#include "apps/sample/options.h"
#include "cluster/communicator.h"

namespace pathline::apps {

/// Makes sample `*options.trace` with the bits that the job would give it, and prints a line of JSON for every step
/// that it tries and one for the sample; writes nothing. Slots and threads are those of the parts beside
/// `options.output`, if there are any, else as `options` say. Throws ExitCode::kUsage on more than one rank. Returns
/// the exit code.
int trace_sample(const SampleOptions& options, cluster::Communicator& world);

}  // namespace pathline::apps
