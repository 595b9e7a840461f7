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

/// What this rank stores: the parts of its shard; rank 0 also the buffers. Views of `host`, valid as long as that and, on
/// the processor, as the state lives.
struct OwnSegments {
  std::vector<checkpoint::SegmentBytes> segments;
  std::vector<at::Tensor> host;  // on the processor the state itself, else copies
};
OwnSegments own_segments(ShardedState& state, const std::vector<model::NamedTensor>& buffers, int rank);

/// Local: fills the own shard from a checkpoint that any number of ranks wrote. Throws ExitCode::kUsage where tensors
/// differ from the model's ("a checkpoint of another model").
void restore_own_shard(ShardedState& state, const checkpoint::Reader& reader);

/// The collectives of checkpoint/ over a communicator, which must outlive them.
checkpoint::Collectives collectives(cluster::Communicator& ranks);

}  // namespace pathline::trainer
