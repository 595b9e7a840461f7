// SPDX-License-Identifier: Apache-2.0
// What one HDF5 file holds, once it is understood; inside data/ only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/hdf5.h"
#include "data/item_reader.h"
#include "data/shard_source.h"

namespace pathline::data {

struct Recognised {
  SetInfo info;  // classes as the file says: 0 if it does not
  hdf5::DataSet items;
  Layout layout = Layout::kChannelsLast;
  PixelRange range = {};
  std::vector<std::int64_t> labels = {};  // (count), or empty
  std::vector<std::uint32_t> crcs = {};   // (count), or empty
  std::string labels_text = {};           // "12 classes", "no labels"
};

/// Which data sets to take from a foreign file, and what its floating-point pixels stand for: "FILE.h5:/pixels",
/// "FILE.h5:/pixels,/labels", "FILE.h5:/pixels@-1..1". Empty: look for them.
struct Selection {
  std::string pixels, labels;
  std::optional<PixelRange> range = {};
};

/// A file that is not an image store of ours.
Recognised recognise_foreign(const hdf5::File& file, const Selection& selection);

/// Labels as a vector, checked to be (count) integers up to axes of size 1, inside the file.
std::vector<std::int64_t> read_labels(const hdf5::File& file, const hdf5::DataSet& set);

/// One file, ours or foreign.
std::unique_ptr<ShardSource> open_file(const std::string& path, const Selection& selection);

}  // namespace pathline::data
