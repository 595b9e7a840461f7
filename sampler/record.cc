// SPDX-License-Identifier: Apache-2.0
#include "sampler/record.h"

#include <algorithm>

namespace pathline::sampler {

std::vector<IdRange> missing_ranges(IdRange all, std::vector<IdRange> made) {
  std::ranges::sort(made, {}, &IdRange::first);
  std::vector<IdRange> missing;
  std::int64_t next = all.first;
  for (const IdRange& range : made) {
    if (range.first >= all.last) break;
    if (range.first > next) missing.push_back({next, range.first});
    next = std::max(next, range.last);
  }
  if (next < all.last) missing.push_back({next, all.last});
  return missing;
}

}  // namespace pathline::sampler
