// SPDX-License-Identifier: Apache-2.0
// Guidance in the convention v = v_null + W (v_cond - v_null) + push: classifier-free (Ho, Salimans 2022, arXiv
// 2207.12598), or autoguidance, where v_null is a weaker network's field (Karras et al. 2024, arXiv 2406.02507); the
// push is a classifier's (sampler/classifier_guidance.h).
#pragma once

#include <cstdint>
#include <span>

#include "sampler/field.h"

namespace pathline::sampler {

/// A field and what its samples are guided by. The slot engine evaluates the terms, each as a row of its own, only
/// where they are needed, and adds them up.
struct GuidedField {
  Field field;
  std::int64_t null_label = -1;  // the label that stands for "no condition"; -1: the field has none
  std::int64_t channels = 0;     // W acts on the first so many, the others are v_cond's; 0: on all
  Field weaker = {};             // of autoguidance: takes the place of v_null and is given the sample's own label
  Field push = {};               // is given the sample's own label and added as it is; empty: none
};

/// value = other + weight (value - other), element by element; `other` may have more elements.
template <class State>
void guide_row(double weight, std::span<const State> other, std::span<State> value);

/// value += push, of push's elements.
template <class State>
void push_row(std::span<const State> push, std::span<State> value);

}  // namespace pathline::sampler
