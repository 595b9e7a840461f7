// SPDX-License-Identifier: Apache-2.0
// Reads single items of one array: by pread where the bytes lie in the file as they are, else through the HDF5 library.
#pragma once

#include <optional>
#include <string>

#include "data/file_descriptor.h"
#include "data/hdf5.h"
#include "data/shard_source.h"

namespace pathline::data {

/// How one image is stored.
enum class Layout { kChannelsLast, kChannelsFirst };

class ItemReader {
 public:
  /// `set` has shape (N, ...) with info.item_values() numbers each. Throws ExitCode::kInput if it does not lie in the
  /// file completely.
  ItemReader(const hdf5::File& file, hdf5::DataSet set, const SetInfo& info, Layout layout);

  /// Item `index` as ShardSource::read delivers it: uint8 (height, width, channels), or float32.
  void read(std::int64_t index, std::span<std::byte> out) const;
  /// "contiguous, read directly"
  std::string how() const;

 private:
  enum class Path { kDirect, kLibrary, kConverted };
  void read_stored(std::int64_t index, std::span<std::byte> out) const;
  void read_converted(std::int64_t index, std::span<std::byte> out) const;

  std::string file_path_;
  hdf5::DataSet set_;
  SetInfo info_;
  Layout layout_;
  hdf5::Element element_;
  Path path_;
  std::optional<FileDescriptor> file_;
};

/// Throws ExitCode::kInput, with the sizes, if the bytes of `set` do not lie in the file.
void check_inside(const hdf5::File& file, const hdf5::DataSet& set);

}  // namespace pathline::data
