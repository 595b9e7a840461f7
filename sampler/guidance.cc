// SPDX-License-Identifier: Apache-2.0
#include "sampler/guidance.h"

#include "core/error.h"

namespace pathline::sampler {

template <class State>
void guide_row(double weight, std::span<const State> other, std::span<State> value) {
  PL_ASSERT(other.size() >= value.size());
  const auto w = static_cast<State>(weight);
  for (std::size_t i = 0; i < value.size(); ++i) value[i] = other[i] + w * (value[i] - other[i]);
}

template <class State>
void push_row(std::span<const State> push, std::span<State> value) {
  PL_ASSERT(value.size() >= push.size());
  for (std::size_t i = 0; i < push.size(); ++i) value[i] += push[i];
}

template void guide_row<float>(double, std::span<const float>, std::span<float>);
template void guide_row<double>(double, std::span<const double>, std::span<double>);
template void push_row<float>(std::span<const float>, std::span<float>);
template void push_row<double>(std::span<const double>, std::span<double>);

}  // namespace pathline::sampler
