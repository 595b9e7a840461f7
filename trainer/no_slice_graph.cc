// SPDX-License-Identifier: Apache-2.0
#include "core/error.h"
#include "trainer/slice_graph.h"

namespace pathline::trainer {

std::unique_ptr<SliceGraph> make_slice_graph(const TwoPartObjective&, model::Module&, double) {
  throw core::Error(core::ExitCode::kUsage,
                    "train.cuda_graph = true, but this program was built without CUDA. Leave it away.");
}

}  // namespace pathline::trainer
