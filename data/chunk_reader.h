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

  /// How many rows are decoded at once: 1 where nothing needs decoding.
  std::int64_t rows_together() const;
  /// Room for the chunks of as many groups of rows_together() rows; at first 2.
  void keep_groups(std::int64_t groups);
  std::uint64_t chunks_decoded() const { return decoded_->decoded(); }

 private:
  struct Piece;
  void read_piece(const Piece& piece, std::span<std::byte> out) const;
  void copy_box(const Piece& piece, std::size_t axis, const std::byte* from, std::byte* to) const;
  std::vector<std::byte> decoded(std::size_t number) const;
  void fill(std::span<std::byte> out) const;

  std::string name_;
  hdf5::ChunkMap map_;
  FileDescriptor file_;
  std::size_t row_bytes_ = 0, chunk_row_bytes_ = 0;   // of the array, of a chunk
  std::size_t chunks_a_row_ = 1;                      // how many chunks a row runs through
  std::vector<std::size_t> row_steps_, chunk_steps_;  // bytes from one index of an axis to the next
  std::unique_ptr<DecodedChunks> decoded_;
};

}  // namespace pathline::data
