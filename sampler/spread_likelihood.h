// SPDX-License-Identifier: Apache-2.0
// The log-densities of a whole set on many ranks: items are dealt to ranks as they ask, and every rank has all figures
// in the end, in the order of the items. A figure depends on its item and on the slots of a rank, so sums over the
// items are those of a single rank.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "cluster/communicator.h"
#include "sampler/likelihood.h"
#include "sampler/range_dealer.h"

namespace pathline::sampler {

struct SetOfData {
  IdRange ids;
  std::function<Datum(std::int64_t id)> datum;  // on the thread that solves
};

/// The log-density of every datum that `next` gives, as log_densities() emits them. Local.
using DensitySolver = std::function<void(const std::function<std::optional<Datum>()>& next,
                                         const std::function<void(const LogDensity&)>& emit)>;

/// Of all ids, ascending, on every rank; memory: 32 bytes an item. Collective; what goes wrong on one rank, also in
/// `field` and `datum`, all ranks throw together. `field`, `options`, `shape` and `labelled` as for log_densities().
/// `progress` is rank 0's: what all ranks have done, as far as it is known.
std::vector<LogDensity> densities_on_ranks(cluster::Communicator& ranks, const Field& field,
                                           const LikelihoodOptions& options, const std::vector<std::int64_t>& shape,
                                           bool labelled, const SetOfData& data,
                                           const std::function<void(const Tally&)>& progress);

/// The same with a solver of the caller's, which takes `at_once` items to begin with.
std::vector<LogDensity> densities_on_ranks(cluster::Communicator& ranks, const DensitySolver& solver,
                                           std::int64_t at_once, const SetOfData& data,
                                           const std::function<void(const Tally&)>& progress);

}  // namespace pathline::sampler
