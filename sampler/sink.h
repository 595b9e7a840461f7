// SPDX-License-Identifier: Apache-2.0
// Where finished samples go: .h5, .npz, .tar, a folder of PNG files, or one .png to look at. A set appears whole under
// its own name (temporary name, sync, rename). docs/formats/generated-sets.md
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/shard_source.h"
#include "sampler/record.h"

namespace pathline::sampler {

struct SinkOptions {
  std::string path;                        // its ending decides the format
  std::int64_t first = 0, count = 0;       // ids [first, first + count)
  std::vector<std::int64_t> sample_shape;  // (C, H, W) or (D)
  bool labelled = false;
  std::int64_t classes = 0;              // where labelled: labels lie in [0, classes)
  std::vector<std::string> class_names;  // may be empty
  std::int64_t columns = 0;              // of a grid of pictures; 0: as square as it gets
  std::uint64_t seed = 0;
  std::string description;  // metadata: checkpoint, solver, guidance, 8-bit rule
  /// Where not null, .h5 gets /x0: what sample `id` was made from, in the order of its pixels (H, W, C) or as it is
  /// (D).
  std::function<std::vector<float>(std::int64_t id)> start_of;
  /// Where not null, .h5 gets /masks: what of sample `id` was known, one byte a pixel (H, W) or a coordinate (D).
  std::function<std::vector<std::byte>(std::int64_t id)> mask_of;
  data::LatentForm latents;  // where it has a scale: items are latents, float16, which .h5 holds
  bool encoded = false;      // records carry the noise that their items were encoded into: .h5 gets it as /x0
  /// Where there are times, records carry their samples' states at these, which .h5 holds as /trajectory and .png draws
  /// as lines through the plane. The shape is a state's, (C, H, W) or (D).
  std::vector<double> trajectory_times;
  std::vector<std::int64_t> trajectory_shape;
};

/// In a folder of pictures: the file that holds SinkOptions::description.
inline constexpr const char* kFolderDescription = "generated_by.txt";

/// Items of records that the sink for `path` takes: PNG files, or raw pixels and floats. Throws ExitCode::kUsage for a
/// path that no sink writes.
bool takes_png(const std::string& path);

/// Samples in any order, each id once; those that come early are kept in memory. One thread.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void put(Record&& record) = 0;
  /// Commits the set. Throws ExitCode::kEnvironment on storage trouble and kInput if an id is missing.
  virtual void finish() = 0;
};

/// Throws ExitCode::kUsage for a path that no sink writes and for samples that its format cannot hold.
std::unique_ptr<Sink> make_sink(const SinkOptions& options);

/// Columns of a grid of `count` pictures whose ids cycle through `labels` labels: one a label where that fills the grid
/// and stays readable, else 0.
std::int64_t columns_for(std::int64_t count, std::int64_t labels);

}  // namespace pathline::sampler
