// SPDX-License-Identifier: Apache-2.0
// One rank of N that do not exist: collectives return at once, and what this rank would have sent is counted. With it
// the real code of a reduction says what it would put on the wire of a machine that is not there.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cluster/communicator.h"

namespace pathline::cluster {

/// What one rank called and sent to others. Bytes of all_to_all() are exact; the other collectives count as rings in
/// rank order do: all_gather and reduce_scatter send everything but one part to the next rank, all_reduce does both, a
/// broadcast passes through all ranks from its root on.
struct WireLedger {
  std::atomic<std::int64_t> calls = 0;
  std::atomic<std::int64_t> messages = 0;
  std::atomic<std::int64_t> bytes_within_nodes = 0;
  std::atomic<std::int64_t> bytes_between_nodes = 0;
};

/// Rank `rank` of hosts.size(); ranks with equal names share a node. `ledger` must outlive it and its subsets, which
/// count into it too; other threads may count at the same time. What others would send is missing: gathers and receives
/// leave the others' places as they are, reductions take the others for zero (or neutral). abort() throws.
std::unique_ptr<Communicator> make_dry_run_communicator(int rank, std::vector<std::string> hosts, WireLedger& ledger);

}  // namespace pathline::cluster
