// SPDX-License-Identifier: Apache-2.0
// Reads the rows of any array (items of its first axis) as they are stored: what goes along with items when a set is
// written again.
#pragma once

#include <memory>
#include <optional>

#include "data/chunk_reader.h"
#include "data/file_descriptor.h"
#include "data/hdf5.h"

namespace pathline::data {

class RowReader {
 public:
  RowReader(const hdf5::File& file, hdf5::DataSet set);

  const hdf5::DataSet& set() const { return set_; }
  std::size_t row_bytes() const { return row_bytes_; }
  /// Row `index`, row_bytes() of them; from any number of threads.
  void read(std::int64_t index, std::span<std::byte> out) const;

 private:
  hdf5::DataSet set_;
  std::size_t row_bytes_;
  std::optional<FileDescriptor> file_;   // of contiguous arrays
  std::unique_ptr<ChunkReader> chunks_;  // where neither: read by the library
};

}  // namespace pathline::data
