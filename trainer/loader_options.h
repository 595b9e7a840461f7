// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <c10/core/Device.h>

#include <cstdint>

#include "cluster/communicator.h"
#include "data/loader.h"
#include "trainer/dataset.h"
#include "trainer/options.h"

namespace pathline::trainer {

/// What a rank's loader delivers to the step that computes on `device`: its own slices' samples of every batch from
/// `position` on. Pure.
data::LoaderOptions loader_options(const Recipe& recipe, const Dataset& dataset, std::uint64_t position,
                                   at::Device device, const cluster::Communicator& ranks);

}  // namespace pathline::trainer
