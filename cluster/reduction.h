// SPDX-License-Identifier: Apache-2.0
// What the implementations of Communicator share: how values combine in an all-reduce, and copying a message.
#pragma once

#include <algorithm>
#include <span>
#include <type_traits>

#include "cluster/communicator.h"
#include "core/error.h"

namespace pathline::cluster {

template <class T>
T combined(Reduction reduction, T left, T right) {
  switch (reduction) {
    case Reduction::kSum:
      return left + right;
    case Reduction::kMin:
      return std::min(left, right);
    case Reduction::kMax:
      return std::max(left, right);
    case Reduction::kBitOr:
      if constexpr (std::is_integral_v<T>) return left | right;
  }
  PL_ASSERT(!"a reduction for this type");
  return left;
}

/// Nothing if they are the same bytes.
inline void copy_bytes(std::span<const std::byte> from, std::span<std::byte> to) {
  PL_ASSERT(from.size() == to.size());
  if (from.data() != to.data()) std::copy(from.begin(), from.end(), to.begin());
}

/// total[i] = total[i] (reduction) next[i].
template <class T>
void combine_into(std::span<T> total, std::span<const T> next, Reduction reduction) {
  PL_ASSERT(total.size() == next.size());
  for (std::size_t i = 0; i < total.size(); ++i) {
    total[i] = combined(reduction, total[i], next[i]);
  }
}

}  // namespace pathline::cluster
