// SPDX-License-Identifier: Apache-2.0
// A small job on many ranks, gathered: ids are dealt in rounds; in each, every rank makes one contiguous range and rank
// 0 receives the samples. A sample depends on (seed, id) and on the slots a rank has, so they are those of a single
// rank. (Sets of any size are made part by part, see make_parts.h.)
#pragma once

#include <cstdint>
#include <functional>

#include "cluster/communicator.h"
#include "sampler/generate.h"

namespace pathline::sampler {

/// The range of `rank` in the round that begins with id `first`: all that is left up to `last`, dealt evenly, but at
/// most `most` ids a rank. Pure.
IdRange range_of(int rank, int ranks, std::int64_t first, std::int64_t last, std::int64_t most);

/// Rank 0's callbacks; the other ranks' are not used.
struct Gathered {
  std::function<void(const Sample&)> put;      // every sample of the job, once
  std::function<void(std::int64_t)> progress;  // about how many are done
};

/// Collective. generate() on all ranks. What goes wrong on one rank, also in `put`, all ranks throw together.
/// Returns the whole job's statistics on every rank; `seconds` is the slowest rank's.
Statistics generate_on_ranks(cluster::Communicator& ranks, const Field& field, const Job& job, std::int64_t first,
                             std::int64_t last, const std::function<std::int64_t(std::int64_t id)>& label_of,
                             const Gathered& gathered);

/// Sums over all ranks (`max_nfe` and `seconds`: the largest), on every rank. Collective.
Statistics summed(cluster::Communicator& ranks, const Statistics& mine);

}  // namespace pathline::sampler
