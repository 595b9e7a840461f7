// SPDX-License-Identifier: Apache-2.0
// The backend of ranks that compute on the processor.
#pragma once

#include <memory>

#include "trainer/backend.h"

namespace pathline::trainer {

/// Collective.
std::unique_ptr<Backend> make_host_backend(cluster::Communicator& ranks);

}  // namespace pathline::trainer
