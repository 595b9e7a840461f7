// SPDX-License-Identifier: Apache-2.0
// A job of a few elements a sample, adaptive, with fewer slots than samples.
#pragma once

#include "sampler/generate.h"

namespace pathline::tests {

inline sampler::Job small_job() {
  sampler::Job job;
  job.sample_shape = {2, 3, 3};
  job.slots = 4;
  job.seed = 5;
  job.solver.rtol = job.solver.atol = 1e-4;
  return job;
}

}  // namespace pathline::tests
