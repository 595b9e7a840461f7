// SPDX-License-Identifier: Apache-2.0
#include "trainer/checkpoint_bridge.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "core/error.h"

namespace pathline::trainer {
namespace {

constexpr char kBufferKind[] = "buffer";

std::span<const std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()};
}

void check_same_tensors(const ShardedState& state, const checkpoint::Reader& reader) {
  std::set<std::pair<std::string, std::vector<std::int64_t>>> stored, ours;
  for (const auto& record : reader.tensors()) {
    if (record.kind == "master") stored.insert({record.name, record.shape});
  }
  for (const auto& tensor : state.layout().tensors) ours.insert({tensor.name, tensor.shape});
  const auto differing = std::mismatch(stored.begin(), stored.end(), ours.begin(), ours.end());
  PL_CHECK(stored == ours, core::ExitCode::kUsage, reader.directory(), " is a checkpoint of another model (it has ",
           stored.size(), " tensors, the recipe's network ", ours.size(), "; the first difference is ",
           differing.first != stored.end() ? differing.first->first : differing.second->first,
           "). Use the recipe that the checkpoint was trained with, or another run.directory.");
}

}  // namespace

std::vector<checkpoint::TensorRecord> tensor_records(ShardedState& state,
                                                     const std::vector<model::NamedTensor>& parameters,
                                                     const std::vector<model::NamedTensor>& buffers) {
  std::vector<checkpoint::TensorRecord> records;
  for (const auto& shard : state.shards()) {
    for (const auto& parameter : parameters) records.push_back({shard.kind, parameter.name, parameter.tensor.sizes().vec()});
  }
  for (const auto& buffer : buffers) records.push_back({kBufferKind, buffer.name, buffer.tensor.sizes().vec()});
  return records;
}

std::vector<checkpoint::SegmentBytes> own_segments(ShardedState& state, const std::vector<model::NamedTensor>& buffers,
                                                   int rank) {
  std::vector<checkpoint::SegmentBytes> segments;
  for (const auto& shard : state.shards()) {
    for (const auto& tensor : state.layout().tensors) {
      const Overlap part = overlap(tensor, state.begin(), state.end());
      if (part.count == 0) continue;
      segments.push_back({shard.kind, tensor.name, part.in_tensor, part.count,
                          std::as_bytes(shard.values.subspan(part.in_buffer - state.begin(), part.count))});
    }
  }
  if (rank != 0) return segments;
  for (const auto& buffer : buffers) {
    segments.push_back({kBufferKind, buffer.name, 0, static_cast<std::uint64_t>(buffer.tensor.numel()),
                        bytes_of(buffer.tensor)});
  }
  return segments;
}

void restore_own_shard(ShardedState& state, const checkpoint::Reader& reader) {
  check_same_tensors(state, reader);
  for (const auto& shard : state.shards()) {
    PL_CHECK(reader.has_kind(shard.kind), core::ExitCode::kUsage, reader.directory(), " has no \"", shard.kind,
             "\" (the recipe asks for it). Use the recipe that the checkpoint was trained with.");
    for (const auto& tensor : state.layout().tensors) {
      const Overlap part = overlap(tensor, state.begin(), state.end());
      if (part.count == 0) continue;
      reader.read(shard.kind, tensor.name, part.in_tensor, part.count,
                  std::as_writable_bytes(shard.values.subspan(part.in_buffer - state.begin(), part.count)));
    }
  }
}

checkpoint::Collectives collectives(cluster::Communicator& ranks) {
  const auto broadcast = [&ranks](const std::string& text) {
    std::int64_t size = static_cast<std::int64_t>(text.size());
    ranks.broadcast(std::as_writable_bytes(std::span(&size, 1)), 0);
    std::string result = ranks.rank() == 0 ? text : std::string(static_cast<std::size_t>(size), '\0');
    ranks.broadcast(std::as_writable_bytes(std::span(result)), 0);
    return result;
  };
  const auto gather = [&ranks](const std::string& text) {
    const auto world = static_cast<std::size_t>(ranks.size());
    const std::uint64_t own_size = text.size();
    std::vector<std::uint64_t> sizes(world);
    ranks.all_gather(std::as_bytes(std::span(&own_size, 1)), std::as_writable_bytes(std::span(sizes)));
    std::vector<std::size_t> offsets(world + 1, 0);
    std::partial_sum(sizes.begin(), sizes.end(), offsets.begin() + 1);
    std::string all(offsets.back(), '\0');
    std::copy(text.begin(), text.end(), all.begin() + static_cast<std::ptrdiff_t>(offsets[ranks.rank()]));
    ranks.all_gather_in_place(std::as_writable_bytes(std::span(all)), offsets);
    std::vector<std::string> texts;
    for (std::size_t r = 0; r < world; ++r) texts.push_back(all.substr(offsets[r], sizes[r]));
    return texts;
  };
  return {ranks.rank(), ranks.size(), [&ranks] { ranks.barrier(); }, broadcast, gather};
}

}  // namespace pathline::trainer
