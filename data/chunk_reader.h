// SPDX-License-Identifier: Apache-2.0
// Reads rows of a chunked array (items of its first axis) with pread, from any number of threads, undoing filters
// outside the library's lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "data/decoded_chunks.h"
#include "data/file_descriptor.h"
#include "data/hdf5_chunks.h"

namespace pathline::data {

class ChunkReader {
 public:
  /// `map` knows only filters that decode_chunk() knows. `name`: "/images in cats.h5", for messages.
  ChunkReader(const std::string& path, std::string name, hdf5::ChunkMap map);

  std::size_t row_bytes() const { return row_bytes_; }
  /// Row `index` as stored, in C order.
  void read(std::int64_t index, std::span<std::byte> out) const;

  void will_read(std::int64_t index) const;
  /// Decodes the chunks of a row where rows share them, so that a read finds them decoded.
  void decode_now(std::int64_t index) const;

  /// How many rows are decoded at once: 1 where nothing needs decoding.
  std::int64_t rows_together() const;
  /// Decoded chunks lie in `store` from now on, which others may use, too; at first in one of its own that holds the
  /// chunks of two rows.
  void decode_into(std::shared_ptr<DecodedChunks> store);

 private:
  struct Piece;
  void read_whole(std::int64_t index, std::span<std::byte> out) const;
  void read_piece(const Piece& piece, std::span<std::byte> out) const;
  void copy_box(const Piece& piece, std::size_t axis, const std::byte* from, std::byte* to) const;
  DecodedChunks::Bytes shared(std::size_t number) const;
  std::vector<std::byte> decoded(std::size_t number) const;
  void fill(std::span<std::byte> out) const;

  std::string name_;
  hdf5::ChunkMap map_;
  FileDescriptor file_;
  std::size_t row_bytes_ = 0, chunk_row_bytes_ = 0;   // of the array, of a chunk
  std::size_t chunks_a_row_ = 1;                      // how many chunks a row runs through
  bool whole_rows_ = false;                           // one, which holds nothing else of it
  std::vector<std::size_t> row_steps_, chunk_steps_;  // bytes from one index of an axis to the next
  std::shared_ptr<DecodedChunks> decoded_;
  std::uint32_t reader_ = 0;  // our number there
};

}  // namespace pathline::data
