// SPDX-License-Identifier: Apache-2.0
// Writes the rows of a new array (items of its first axis) in any order, from any number of threads: contiguous ones
// past the HDF5 library, chunks when they are complete, encoded by the thread that completes them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "data/file_descriptor.h"
#include "data/hdf5.h"

namespace pathline::data {

class RowWriter {
 public:
  /// `set` was made with `chunking`; `file`, its file, must outlive this.
  RowWriter(hdf5::DataSet set, hdf5::Chunking chunking, const FileDescriptor& file);

  /// Row `index`, once. Chunks that are not complete stay in memory: rows come roughly in order.
  void put(std::int64_t index, std::span<const std::byte> row);
  /// Where the first row lies, of a contiguous array.
  std::optional<std::uint64_t> offset() const { return set_.offset(); }
  /// Every row of every chunk that was begun has been put.
  bool complete() const { return begun_.empty(); }

 private:
  struct Chunk {
    std::vector<std::byte> bytes;
    std::int64_t rows_left = 0;
  };
  void write(std::int64_t number, std::span<const std::byte> bytes) const;

  hdf5::DataSet set_;
  hdf5::Chunking chunking_;
  const FileDescriptor& file_;
  std::size_t row_bytes_;
  std::mutex mutex_;
  std::map<std::int64_t, Chunk> begun_;  // by number
};

}  // namespace pathline::data
