// SPDX-License-Identifier: Apache-2.0
// Where the chunks of an array lie in its file, so that any number of threads can read them with pread and undo their
// filters without the library and its lock.
//
// Libraries before 1.10.10 and 1.12.3 have no call that lists addresses in less than quadratic time, and which
// addresses count a user block depends on the version. So the file is opened a second time through a driver of ours
// that reads metadata but only notes where chunks would be read: a lookup of about 2 us a chunk, with every version
// from 1.10.3 on and every kind of chunk index, and the addresses are those in the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/hdf5.h"

namespace pathline::data::hdf5 {

/// One chunk as stored. `bytes` 0: never written, all of it is the fill value.
struct StoredChunk {
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;
  std::uint32_t skipped = 0;  // bit k: filter k was not applied to this chunk
};

/// A filter by its registered number, with the parameters of its definition.
struct Filter {
  int id = 0;
  std::vector<unsigned> parameters;
};

struct ChunkMap {
  std::vector<std::int64_t> shape;  // of the array
  std::vector<std::int64_t> chunk;  // of one chunk; chunks at the edges are stored whole
  std::size_t element_bytes = 0;
  std::vector<Filter> filters;      // in the order of writing
  std::vector<std::byte> fill;      // one element
  std::vector<StoredChunk> chunks;  // of the whole grid, in C order

  /// Chunks along axis `axis`.
  std::int64_t along(std::size_t axis) const { return (shape[axis] + chunk[axis] - 1) / chunk[axis]; }
  /// Of one chunk, decoded.
  std::size_t chunk_bytes() const;
};

/// Empty where the array is not chunked, or so finely (more than 2^24 chunks) or coarsely (4 GiB and more) that only
/// the library should read it. Throws ExitCode::kInput for chunks that do not lie in the file.
std::optional<ChunkMap> chunk_map(const File& file, const DataSet& set);

/// Whether the library (with its plugins) can undo all of them.
bool library_decodes(const std::vector<Filter>& filters);

/// Where in its file the first byte of a contiguous array of at least one element lies, whatever precedes it.
std::uint64_t first_byte(const std::string& path, const std::string& name);

}  // namespace pathline::data::hdf5
