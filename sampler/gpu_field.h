// SPDX-License-Identifier: Apache-2.0
// A network on a GPU as the slot engine calls it: its forward pass of the one batch shape is a CUDA graph, captured
// once and replayed. gpu_field_cuda.cc; no_gpu_field.cc where the build has no CUDA.
//
// Note [What crosses the bus]
// Registers and the arithmetic of solvers stay on the processor: the same bits whatever the GPU, one engine for both.
// A tick then moves 8 bytes an element. Estimated: for 64 slots of 3 x 64 x 64 6.3 MB, 0.25 ms at 25 GB/s; of a latent
// of 4 x 32 x 32 2.1 MB, 0.08 ms, where DiT-XL/2 computes 15 TFLOP, 40 ms at 400 TFLOP/s. A tick's arithmetic on the
// processor (some 10 passes over the state) is of the same order with a few threads. Two half batches in turn would
// hide both; a network that is worth a GPU makes them a few percent, and half batches cost more where it is small.
#pragma once

#include "model/velocity_model.h"
#include "sampler/field.h"

namespace pathline::sampler {

enum class NetworkAnswer {
  kVelocity,    // as field_of(model)
  kAsOriginal,  // as noise_field_of(model)
};

enum class Launch {
  kGraph,  // a forward pass is one call
  kEager,  // a call a kernel; for networks that cannot be captured
};

/// The field of a model whose weights lie on a GPU, in evaluation mode; without gradients. Every batch shape is
/// captured when it first comes (two are kept). A result is the caller's. The model must outlive the field; one thread
/// at a time. Throws ExitCode::kEnvironment if the pass cannot be captured.
Field gpu_field_of(model::VelocityModel& model, NetworkAnswer answer, Launch launch);

}  // namespace pathline::sampler
