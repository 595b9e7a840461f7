// SPDX-License-Identifier: Apache-2.0
// Reads single items of one array, by the fastest way that its storage allows:
//   contiguous           pread at the array's place in the file
//   chunks               pread of a chunk, or of the item's part of it, and filters undone outside the library's lock
//   anything else        the HDF5 library, one thread at a time (unknown filters, virtual and external storage)
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "data/chunk_reader.h"
#include "data/file_descriptor.h"
#include "data/hdf5.h"
#include "data/shard_source.h"

namespace pathline::data {

/// How one image is stored.
enum class Layout { kChannelsLast, kChannelsFirst };

/// What floating-point pixels stand for: black and white.
struct PixelRange {
  double black = 0, white = 255;
};

/// The number that items of a kind consist of, as they are read.
hdf5::Element element_of(ItemKind kind);

class ItemReader {
 public:
  /// `set` has shape (N, ...) with info.stored_values() numbers each; images of whole numbers 0 to 255, or of numbers
  /// between `range`. Throws ExitCode::kInput if it does not lie in the file completely.
  ItemReader(const hdf5::File& file, hdf5::DataSet set, const SetInfo& info, Layout layout, PixelRange range = {});

  /// Item `index` as ShardSource::read delivers it: uint8 (height, width, channels), float32 or float16. Throws
  /// ExitCode::kInput for pixels outside their range.
  void read(std::int64_t index, std::span<std::byte> out) const;
  void will_read(std::int64_t index) const;
  void decode_now(std::int64_t index) const {
    if (chunks_) chunks_->decode_now(index);
  }
  /// "contiguous, read directly"
  std::string how() const;
  /// As those of ChunkReader.
  std::int64_t items_together() const { return chunks_ ? chunks_->rows_together() : 1; }
  void decode_into(std::shared_ptr<DecodedChunks> store);

 private:
  void read_stored(std::int64_t index, std::span<std::byte> out) const;
  void to_bytes(std::int64_t index, std::span<const std::byte> stored, std::span<std::byte> out) const;
  std::byte level_of(std::int64_t index, double value) const;
  void read_converted(std::int64_t index, std::span<std::byte> out) const;

  std::string file_path_;
  hdf5::DataSet set_;
  SetInfo info_;
  Layout layout_;
  PixelRange range_;
  hdf5::Element element_;                    // what read() delivers
  std::optional<hdf5::NumberType> convert_;  // where stored numbers are not that, but can be made it here
  bool as_stored_;                           // stored numbers are that
  std::optional<FileDescriptor> file_;
  std::unique_ptr<ChunkReader> chunks_;
  std::string why_library_;  // where neither: what keeps it from being read here
};

/// Throws ExitCode::kInput, with the sizes, if the bytes of `set` do not lie in the file.
void check_inside(const hdf5::File& file, const hdf5::DataSet& set);

}  // namespace pathline::data
