// SPDX-License-Identifier: Apache-2.0
// Guidance in the convention v = v_null + W (v_cond - v_null): classifier-free (Ho, Salimans 2022, arXiv 2207.12598),
// or autoguidance, where v_null is a weaker network's field (Karras et al. 2024, arXiv 2406.02507).
#pragma once

#include <cstdint>

#include "sampler/field.h"

namespace pathline::sampler {

struct Guidance {
  std::int64_t null_label = -1;  // the label that stands for "no condition"; -1: the field has none
  std::int64_t channels = 0;     // the first so many are guided, the others are v_cond's; 0: all
  Field weaker;                  // of autoguidance: takes the place of v_null and is given the sample's own label
};

/// Network forward passes of one row evaluated with this weight.
inline std::int64_t passes_with(double weight) { return weight == 1.0 ? 1 : 2; }

/// A field whose rows are guided with a weight each.
class GuidedField {
 public:
  explicit GuidedField(Field field, Guidance guidance = {});

  /// weights (S) fp32 on the CPU. Rows of weight 1 get the bits of `field` itself. `field` is called with the full
  /// shape, once, and a second time if some row has another weight. Throws ExitCode::kUsage for such a weight where
  /// there is nothing to be guided away from.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& t, const at::Tensor& labels,
                        const at::Tensor& weights) const;

 private:
  Field field_;
  Guidance guidance_;
};

}  // namespace pathline::sampler
