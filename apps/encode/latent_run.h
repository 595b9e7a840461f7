// SPDX-License-Identifier: Apache-2.0
// `pathline data encode --encoder`: the latents of a set of pictures, by all ranks, in parts that survive a kill.
#pragma once

#include "apps/encode/latent_encoder.h"
#include "cluster/communicator.h"

namespace pathline::apps {

/// Returns the exit code: kStopped where a rank was asked to stop. The set's bytes depend neither on the number of
/// ranks nor on interruptions. Throws core::Error on all ranks together. Collective.
int encode_latents(const LatentOptions& options, cluster::Communicator& world);

}  // namespace pathline::apps
