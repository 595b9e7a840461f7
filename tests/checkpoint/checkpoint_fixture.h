// SPDX-License-Identifier: Apache-2.0
// Small checkpoints for tests: every element's value says where it belongs.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "cluster/communicator.h"

namespace pathline::checkpoint {

/// The collectives of a communicator; texts travel as length and bytes.
inline Collectives collectives_of(cluster::Communicator& ranks) {
  Collectives all;
  all.rank = ranks.rank();
  all.ranks = ranks.size();
  all.barrier = [&ranks] { ranks.barrier(); };
  all.broadcast = [&ranks](const std::string& text) {
    std::uint64_t length = text.size();
    ranks.broadcast(std::as_writable_bytes(std::span(&length, 1)), 0);
    std::string received = text;
    received.resize(length);
    ranks.broadcast(std::as_writable_bytes(std::span(received)), 0);
    return received;
  };
  all.gather = [&ranks, broadcast = all.broadcast](const std::string& text) {
    std::int64_t longest = static_cast<std::int64_t>(text.size());
    ranks.all_reduce(std::span(&longest, 1), cluster::Reduction::kMax);
    const std::size_t room = static_cast<std::size_t>(longest) + sizeof(std::uint64_t);
    std::string mine(room, '\0'), together(room * static_cast<std::size_t>(ranks.size()), '\0');
    const std::uint64_t length = text.size();
    std::memcpy(mine.data(), &length, sizeof length);
    std::memcpy(mine.data() + sizeof length, text.data(), text.size());
    ranks.all_gather(std::as_bytes(std::span(mine)), std::as_writable_bytes(std::span(together)));
    std::vector<std::string> texts;
    for (int r = 0; r < ranks.size(); ++r) {
      std::uint64_t size = 0;
      const char* part = together.data() + room * static_cast<std::size_t>(r);
      std::memcpy(&size, part, sizeof size);
      texts.emplace_back(part + sizeof size, size);
    }
    return texts;
  };
  return all;
}

/// A set of tensors and their bytes; `step` goes into every byte.
struct Sample {
  State state;
  std::vector<TensorRecord> tensors;
  std::vector<std::vector<std::byte>> bytes;  // of each tensor, whole

  Sample(std::uint64_t step, const std::vector<TensorRecord>& records) : tensors(records) {
    state.step = step;
    state.position = 256 * step;
    state.optimizer_step = step - 1;
    state.seed = ~std::uint64_t{0};
    state.recipe = "[run]\nseed = 7\n";
    state.kernel_fingerprint = "avx512";
    state.data_fingerprint = "abc";
    state.skipped_windows = {512, 1024};
    state.skips_in_a_row = 2;
    state.rollbacks_in_a_row = 1;
    state.saved_at = 1'800'000'000 + static_cast<std::int64_t>(step);
    state.metrics = {{"loss", 0.1}, {"norm", 1.0 / 3.0}};
    state.versions = {{"torch", "2.13.0"}};
    state.extra = {{"note", "\"quoted\"\n"}};
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      std::vector<std::byte> content(elements(t) * sizeof(float));
      for (std::size_t i = 0; i < content.size(); ++i) {
        content[i] = static_cast<std::byte>((step * 131 + t * 37 + i * 7 + i / 251) & 255);
      }
      bytes.push_back(content);
    }
  }

  std::uint64_t elements(std::size_t t) const {
    std::uint64_t count = 1;
    for (const auto dimension : tensors[t].shape) count *= static_cast<std::uint64_t>(dimension);
    return count;
  }

  /// What `rank` of `ranks` holds: contiguous blocks of `block` elements, as a sharded optimizer deals them out.
  std::vector<SegmentBytes> segments(int rank, int ranks, std::uint64_t block) const {
    std::vector<SegmentBytes> mine;
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      const std::uint64_t blocks = (elements(t) + block - 1) / block;
      const std::uint64_t from =
          std::min(elements(t), blocks * static_cast<std::uint64_t>(rank) / static_cast<std::uint64_t>(ranks) * block);
      const std::uint64_t to = std::min(
          elements(t), blocks * static_cast<std::uint64_t>(rank + 1) / static_cast<std::uint64_t>(ranks) * block);
      if (from == to) continue;
      mine.push_back({tensors[t].kind, tensors[t].name, from, to - from,
                      std::span(bytes[t]).subspan(from * sizeof(float), (to - from) * sizeof(float))});
    }
    return mine;
  }
};

/// Three tensors of a few hundred bytes together, one of them a scalar, one without elements.
inline Sample small_sample(std::uint64_t step) {
  return Sample(
      step, {{"master", "w", {5, 7}}, {"ema-0.999", "w", {5, 7}}, {"buffer", "scale", {}}, {"buffer", "none", {0, 4}}});
}

inline void save_alone(core::FileSystem& files, const std::string& directory, const Sample& sample,
                       std::uint64_t attempt = 1) {
  save(files, directory, sample.state, sample.tensors, sample.segments(0, 1, 16), attempt, Collectives{});
}

/// True if every tensor of the checkpoint has the sample's bytes, and its state is the sample's.
inline bool holds(const Reader& reader, const Sample& sample) {
  if (reader.state().step != sample.state.step || reader.tensors().size() != sample.tensors.size()) return false;
  for (std::size_t t = 0; t < sample.tensors.size(); ++t) {
    std::vector<std::byte> out(sample.bytes[t].size());
    reader.read(sample.tensors[t].kind, sample.tensors[t].name, 0, sample.elements(t), out);
    if (out != sample.bytes[t]) return false;
  }
  return true;
}

}  // namespace pathline::checkpoint
