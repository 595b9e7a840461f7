// SPDX-License-Identifier: Apache-2.0
#include "core/error.h"
#include "sampler/gpu_field.h"

namespace pathline::sampler {

Field gpu_field_of(model::VelocityModel&, NetworkAnswer, Launch) {
  PL_ASSERT(false);  // no weights lie on a GPU in such a build
}

}  // namespace pathline::sampler
