// SPDX-License-Identifier: Apache-2.0
#include "cluster/communicator.h"

#include <numeric>
#include <vector>

namespace pathline::cluster {

std::unique_ptr<Communicator> duplicate(Communicator& ranks) {
  std::vector<int> all(ranks.size());
  std::iota(all.begin(), all.end(), 0);
  return ranks.subset(all);
}

}  // namespace pathline::cluster
