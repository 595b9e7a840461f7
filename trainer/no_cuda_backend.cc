// SPDX-License-Identifier: Apache-2.0
#include "core/error.h"
#include "trainer/backend.h"
#include "trainer/host_backend.h"
#include "trainer/options.h"

namespace pathline::trainer {

std::unique_ptr<Backend> make_backend(const Recipe& recipe, cluster::Communicator& ranks) {
  PL_CHECK(recipe.run.device != "cuda", core::ExitCode::kEnvironment, "run.device = \"cuda\", but this program was ",
           "built without CUDA. Build it where nvcc and a CUDA build of torch are (docs/gpu.md), or use --set ",
           "run.device=cpu.");
  return make_host_backend(ranks);
}

}  // namespace pathline::trainer
