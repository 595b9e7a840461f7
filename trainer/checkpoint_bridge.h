// SPDX-License-Identifier: Apache-2.0
// Between the flat state of training and the byte blocks of a checkpoint: a checkpoint names (kind, tensor, offset,
// length) and does not show the number of ranks.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "cluster/communicator.h"
#include "trainer/sharded_state.h"

namespace pathline::trainer {

/// Every tensor of every kind, buffers of the model included (kind "buffer"). Equal on all ranks.
std::vector<checkpoint::TensorRecord> tensor_records(ShardedState& state,
                                                     const std::vector<model::NamedTensor>& parameters,
                                                     const std::vector<model::NamedTensor>& buffers);

/// What this rank stores: the parts of its shard; rank 0 also the buffers.
class StagedState {
 public:
  /// `copies`: of everything, in memory taken (and touched) here, page-locked where the state is on a GPU. Without,
  /// what is on the processor is stored from where it is. References must outlive it.
  StagedState(ShardedState& state, const std::vector<model::NamedTensor>& buffers, int rank, bool copies);

  /// Segments hold the state of this moment from here on: to the next call, or without copies until the state changes.
  void copy();
  const std::vector<checkpoint::SegmentBytes>& segments() const { return segments_; }
  std::size_t staging_bytes() const { return staging_bytes_; }

 private:
  /// All that is stored, where training has it: the parts of the shards in their order, then the buffers.
  std::vector<at::Tensor> sources() const;

  ShardedState& state_;
  std::vector<at::Tensor> buffers_;  // rank 0 only
  std::vector<at::Tensor> host_;     // one of every source
  std::size_t staging_bytes_ = 0;
  std::vector<checkpoint::SegmentBytes> segments_;  // views of host_
};

/// Local: fills the own shard from a checkpoint that any number of ranks wrote. Throws ExitCode::kUsage where tensors
/// differ from the model's ("a checkpoint of another model").
void restore_own_shard(ShardedState& state, const checkpoint::Reader& reader);

/// The same where rank 0 alone reads, for storage that many readers slow down: whole tensors go to all ranks in windows
/// of this size, and every rank keeps what is its own. Collective; a failed read throws on all ranks.
void restore_by_broadcast(ShardedState& state, const checkpoint::Reader& reader, cluster::Communicator& ranks,
                          std::size_t window_bytes = 64 << 20);

/// The collectives of checkpoint/ over a communicator, which must outlive them.
checkpoint::Collectives collectives(cluster::Communicator& ranks);

}  // namespace pathline::trainer
