// SPDX-License-Identifier: Apache-2.0
// What one rank does for a set: it takes ranges of ids, keeps its slots full across them, and commits every range as a
// part as soon as its last sample is there.
#pragma once

#include <functional>

#include "cluster/communicator.h"
#include "sampler/generate.h"
#include "sampler/part_store.h"
#include "sampler/range_dealer.h"

namespace pathline::sampler {

struct PartMaking {
  std::uint64_t job = 0;  // identity of the job record
  std::function<std::int64_t(std::int64_t id)> label_of;
  /// A finished sample as the set holds it. On the thread that solves.
  std::function<Record(Sample&&)> record_of;
  /// What takes long and needs no order (PNG): on the thread that writes.
  std::function<Record(Record&&)> packed = [](Record&& record) { return std::move(record); };
  /// Asked before every id; where it says true this rank takes no more, finishes what is in its slots, commits that,
  /// and no rank takes more.
  std::function<bool()> stop = [] { return false; };
  /// After every sample.
  std::function<void()> progress = [] {};
};

/// Until the dealer has nothing more. Local. The first error of solving or storing is thrown; the other ranks then get
/// no more ids, and end in order.
Statistics make_parts(const Field& field, const Job& job, const PartMaking& making, RangeDealer& dealer,
                      PartStore& store);

/// Sums over all ranks (`max_nfe` and `seconds`: the largest), on every rank. Collective.
Statistics summed(cluster::Communicator& ranks, const Statistics& mine);

}  // namespace pathline::sampler
