// SPDX-License-Identifier: Apache-2.0
#include "trainer/checkpoint_bridge.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "cluster/agree.h"
#include "core/error.h"

namespace pathline::trainer {
namespace {

constexpr char kBufferKind[] = "buffer";

std::span<const std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()};
}

/// What of a tensor this rank owns of one bucket.
struct Piece {
  const FlatTensor* tensor;
  std::size_t in_tensor, in_part, count;  // elements
};

/// visit(bucket, pieces of the own part of it).
template <class Visit>
void each_piece(ShardedState& state, const Visit& visit) {
  const FlatLayout& layout = state.layout();
  for (std::size_t b = 0; b < layout.buckets.size(); ++b) {
    const cluster::Range own = state.exchange().map().own(b).range;
    std::vector<Piece> pieces;
    for (std::size_t t = layout.buckets[b].first_tensor; t < layout.buckets[b].last_tensor; ++t) {
      const Overlap part = overlap(layout.tensors[t], own);
      if (part.count > 0)
        pieces.push_back({&layout.tensors[t], part.in_tensor, part.in_buffer - own.begin, part.count});
    }
    visit(b, pieces);
  }
}

void check_same_state(ShardedState& state, const checkpoint::Reader& reader) {
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
  for (const auto& shard : state.shards()) {
    PL_CHECK(reader.has_kind(shard.kind), core::ExitCode::kUsage, reader.directory(), " has no \"", shard.kind,
             "\" (the recipe asks for it). Use the recipe that the checkpoint was trained with.");
  }
}

/// A rank's own part of one kind of state in host memory: on the processor the state itself.
struct HostShard {
  std::string kind;
  std::vector<at::Tensor> parts;
  std::vector<checkpoint::Wanted> own;  // at most one range of a tensor
};

HostShard host_shard(ShardedState& state, const NamedShard& shard) {
  HostShard host{shard.kind, {}, {}};
  each_piece(state, [&](std::size_t bucket, const std::vector<Piece>& pieces) {
    const at::Tensor& part = host.parts.emplace_back(shard.parts[bucket].to(at::kCPU));
    const std::span<std::byte> bytes(static_cast<std::byte*>(part.mutable_data_ptr()), part.nbytes());
    for (const auto& piece : pieces) {
      host.own.push_back({shard.kind, piece.tensor->name, piece.in_tensor, piece.count,
                          bytes.subspan(piece.in_part * sizeof(float), piece.count * sizeof(float))});
    }
  });
  return host;
}

/// fill(host) for every kind of state, one after the other.
template <class Fill>
void each_kind(ShardedState& state, const Fill& fill) {
  for (const auto& shard : state.shards()) {
    const HostShard host = host_shard(state, shard);
    fill(host);
    for (std::size_t b = 0; b < host.parts.size(); ++b) {
      if (!shard.parts[b].is_cpu()) shard.parts[b].copy_(host.parts[b]);
    }
  }
}

/// All tensors, one after the other, as ranges that fill `window` over and over again.
std::vector<std::vector<checkpoint::Wanted>> windows_of(const FlatLayout& layout, const std::string& kind,
                                                        std::span<std::byte> window) {
  std::vector<std::vector<checkpoint::Wanted>> windows;
  std::size_t room = 0;  // elements of the last window
  for (const auto& tensor : layout.tensors) {
    for (std::size_t offset = 0, count = 0; offset < tensor.elements; offset += count) {
      if (room == 0) {
        windows.emplace_back();
        room = window.size() / sizeof(float);
      }
      count = std::min(room, tensor.elements - offset);
      const auto out = window.last(room * sizeof(float)).first(count * sizeof(float));
      windows.back().push_back({kind, tensor.name, offset, count, out});
      room -= count;
    }
  }
  return windows;
}

const std::byte* end_of(const std::vector<checkpoint::Wanted>& ranges) {
  return ranges.back().out.data() + ranges.back().out.size();
}

/// Two ranges of one tensor: what both cover goes from one to the other.
void copy_common(const checkpoint::Wanted& from, const checkpoint::Wanted& to) {
  const auto begin = std::max(from.offset, to.offset);
  const auto end = std::min(from.offset + from.count, to.offset + to.count);
  if (begin >= end) return;
  const auto part = from.out.subspan((begin - from.offset) * sizeof(float), (end - begin) * sizeof(float));
  std::copy(part.begin(), part.end(),
            to.out.begin() + static_cast<std::ptrdiff_t>((begin - to.offset) * sizeof(float)));
}

}  // namespace

std::vector<checkpoint::TensorRecord> tensor_records(ShardedState& state,
                                                     const std::vector<model::NamedTensor>& parameters,
                                                     const std::vector<model::NamedTensor>& buffers) {
  std::vector<checkpoint::TensorRecord> records;
  for (const auto& shard : state.shards()) {
    for (const auto& parameter : parameters)
      records.push_back({shard.kind, parameter.name, parameter.tensor.sizes().vec()});
  }
  for (const auto& buffer : buffers) records.push_back({kBufferKind, buffer.name, buffer.tensor.sizes().vec()});
  return records;
}

StagedState::StagedState(ShardedState& state, const std::vector<model::NamedTensor>& buffers, int rank, bool copies)
    : state_(state) {
  if (rank == 0) {
    for (const auto& buffer : buffers) buffers_.push_back(buffer.tensor);
  }
  for (const at::Tensor& source : sources()) {
    const bool in_place = source.is_cpu() && !copies;
    const auto on_host = source.options().device(at::kCPU).pinned_memory(source.is_cuda());
    host_.push_back(in_place ? source : at::zeros(source.sizes(), on_host));
    if (!in_place) staging_bytes_ += source.nbytes();
  }
  auto host = host_.begin();
  for (const auto& shard : state_.shards()) {
    each_piece(state_, [&](std::size_t, const std::vector<Piece>& pieces) {
      const auto bytes = bytes_of(*host++);
      for (const auto& piece : pieces) {
        segments_.push_back({shard.kind, piece.tensor->name, piece.in_tensor, piece.count,
                             bytes.subspan(piece.in_part * sizeof(float), piece.count * sizeof(float))});
      }
    });
  }
  for (std::size_t i = 0; i < buffers_.size(); ++i, ++host) {
    segments_.push_back(
        {kBufferKind, buffers[i].name, 0, static_cast<std::uint64_t>(buffers_[i].numel()), bytes_of(*host)});
  }
}

std::vector<at::Tensor> StagedState::sources() const {
  std::vector<at::Tensor> all;
  for (const auto& shard : state_.shards()) all.insert(all.end(), shard.parts.begin(), shard.parts.end());
  all.insert(all.end(), buffers_.begin(), buffers_.end());
  return all;
}

void StagedState::copy() {
  const auto now = sources();
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (host_[i].const_data_ptr() != now[i].const_data_ptr()) host_[i].copy_(now[i]);
  }
}

void restore_own_shard(ShardedState& state, const checkpoint::Reader& reader) {
  check_same_state(state, reader);
  state.wait_for_all_parameters();
  each_kind(state, [&](const HostShard& host) { reader.read(host.own); });
}

void restore_by_broadcast(ShardedState& state, const checkpoint::Reader& reader, cluster::Communicator& ranks,
                          std::size_t window_bytes) {
  cluster::together(ranks, [&] { check_same_state(state, reader); });
  state.wait_for_all_parameters();
  std::vector<std::byte> window(window_bytes);
  each_kind(state, [&](const HostShard& host) {
    std::map<std::string, const checkpoint::Wanted*> own;
    for (const auto& range : host.own) own[range.name] = &range;
    for (const auto& ranges : windows_of(state.layout(), host.kind, window)) {
      cluster::together(ranks, [&] {
        if (ranks.rank() == 0) reader.read(ranges);
      });
      ranks.broadcast(std::span(window).first(end_of(ranges) - window.data()), 0);
      for (const auto& range : ranges) {
        if (const auto mine = own.find(range.name); mine != own.end()) copy_common(range, *mine->second);
      }
    }
  });
}

checkpoint::Collectives collectives(cluster::Communicator& ranks) {
  const auto broadcast = [&ranks](const std::string& text) { return cluster::word_of_root(ranks, text); };
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
  return {.rank = ranks.rank(),
          .ranks = ranks.size(),
          .barrier = [&ranks] { ranks.barrier(); },
          .broadcast = broadcast,
          .gather = gather};
}

}  // namespace pathline::trainer
