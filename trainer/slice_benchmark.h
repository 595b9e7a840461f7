// SPDX-License-Identifier: Apache-2.0
// What this machine does with one slice of a recipe, and how fast its memory is.
#pragma once

#include "trainer/options.h"

namespace pathline::trainer {

struct SliceBenchmark {
  double flops_per_second = 0;  // model FLOPs of forward and backward pass
  double activation_bytes = 0;  // by which this process grew in the first pass, gradients not counted: an estimate
};

/// Forward and backward pass of one slice (micro-batch by micro-batch) on the processor, after one pass to warm up, on
/// run.threads threads. The recipe says the model's inputs.
SliceBenchmark benchmark_slice(const Recipe& recipe);

/// Bytes a second that one thread moves in c = a + b with arrays that no cache holds: two read, one written.
double measured_memory_rate();

}  // namespace pathline::trainer
