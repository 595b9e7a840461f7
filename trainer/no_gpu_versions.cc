// SPDX-License-Identifier: Apache-2.0
#include "core/error.h"
#include "trainer/gpu_versions.h"

namespace pathline::trainer {

bool means_gpu(const std::string&) { return false; }

std::string gpu_name() { PL_ASSERT(false); }

std::map<std::string, std::string> gpu_library_versions() { PL_ASSERT(false); }

}  // namespace pathline::trainer
