// SPDX-License-Identifier: Apache-2.0
// What one HDF5 file holds, once it is understood; inside data/ only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
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

/// What of a foreign file to take, and how, where it does not say so itself. Empty: look for it.
///   FILE.h5:/pixels            this array
///   FILE.h5:/pixels,/labels    and these labels; ",none": no labels
///   ...@0..1                   what black and white are of floating-point pixels
///   ...@28x28, ...@3x32x32     the shape of an image, where each is stored as one row of numbers
///   ...@nchw, ...@nhwc         whether the channels come first or last, where both could be meant
struct Selection {
  std::string pixels, labels;
  std::optional<PixelRange> range = {};
  std::vector<std::int64_t> row = {};
  std::optional<Layout> layout = {};
};

/// What is behind the ":/" of `path`, and the file in front of it; any other path as it is. Throws ExitCode::kUsage for
/// what cannot be understood.
std::pair<std::string, Selection> selected(const std::string& path);

/// Selection::labels of ",none".
inline constexpr const char* kNoLabels = "none";

/// A file that is not an image store of ours.
Recognised recognise_foreign(const hdf5::File& file, const Selection& selection);

/// The files that open_source() reads for these paths, in order; parts that are missing are kInput.
std::vector<std::string> data_files(const std::vector<std::string>& paths);

/// Labels as a vector, checked to be (count) integers up to axes of size 1, inside the file.
std::vector<std::int64_t> read_labels(const hdf5::File& file, const hdf5::DataSet& set);

/// One file, ours or foreign.
std::unique_ptr<ShardSource> open_file(const std::string& path, const Selection& selection);

}  // namespace pathline::data
