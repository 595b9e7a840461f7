// SPDX-License-Identifier: Apache-2.0
// Batches in order of position, prepared ahead by threads. A rank asks for its own contiguous part of every global
// batch; what comes depends on (seed, position) alone, never on threads, depth or the number of ranks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "core/random.h"
#include "data/shard_source.h"

namespace pathline::data {

/// This rank's part of one global batch.
struct Batch {
  std::uint64_t position = 0;         // of the global batch's first sample
  std::uint64_t first = 0;            // of this part's first sample: position + LoaderOptions::first
  std::vector<std::int64_t> samples;  // (n) which samples of the source
  std::vector<std::int64_t> labels;   // (n) -1 without labels
  std::vector<float> values;  // (n, channels, height, width), pixels in [-1, 1], latents normalised; points as stored
  std::vector<std::byte> pixels;       // in place of values, where asked for: (n, height, width, channels) as stored
  std::vector<std::uint8_t> mirrored;  // with pixels: (n) 1 where left and right are to be exchanged
  std::vector<float> starts;           // as values: what samples start from, where the set or the coupling says so
  std::vector<float> texts;            // (n, text.values()) the samples' prompts, where asked for
  std::vector<std::uint64_t> noise;    // (n) positions whose noise samples start from; empty: their own
  double waited_seconds = 0;           // how long next() had to wait for it
};

/// Samples of the source at positions first, first + 1, ... Called by many threads.
using Order = std::function<void(std::uint64_t first, std::span<std::int64_t> samples)>;

/// From a function of one position.
Order one_by_one(std::function<std::int64_t(std::uint64_t position)> sample);

struct LoaderOptions {
  std::int64_t batch = 0;            // size of the global batch
  std::int64_t first = 0, last = 0;  // this rank's part [first, last) of it; may be empty
  std::uint64_t start = 0;           // position of the first global batch
  bool flip = false;        // mirror left-right where the keyed bit of the position says so; latents: if stored
  bool dequantize = false;  // pixels with the keyed part of a level that 8 bits leave out
  bool pixels = false;      // deliver images as they are stored, to whoever makes numbers of them
  bool texts = false;       // deliver what describes the samples
  bool starts = false;      // deliver the source's starts, mirrored with their samples
  std::uint64_t seed = 0;
  int threads = 1;
  int depth = 4;     // batches prepared ahead
  Order ahead = {};  // where groups are decoded together: samples of those that are needed soon, else -1; may be empty
};

class Loader {
 public:
  /// `source` must outlive the loader.
  Loader(const ShardSource& source, Order order, LoaderOptions options);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// The next global batch's part. Rethrows what a thread failed with (core::Error naming sample and file).
  Batch next();
  /// The memory of a batch that is done with, for a later one: large blocks are slow to get.
  void give_back(Batch batch);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// One sample as the loader delivers it: (channels, height, width) floats; `mirrored` flips left and right. `draw`: of
/// latents that are stored as mean and log-variance; null: the mean. `past_caches`: see pixels_to_values().
void to_values(const SetInfo& info, std::span<const std::byte> item, bool mirrored, std::span<float> out,
               const core::Draws* draw = nullptr, bool past_caches = false);

/// The start of one sample, as ShardSource::read_start() gives it, in the loader's layout.
void start_to_values(const SetInfo& info, std::span<const float> start, bool mirrored, std::span<float> out);

}  // namespace pathline::data
