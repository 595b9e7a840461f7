// SPDX-License-Identifier: Apache-2.0
#include "sampler/compute_device.h"

namespace pathline::sampler {

std::vector<std::string> visible_gpus() { return {}; }

}  // namespace pathline::sampler
