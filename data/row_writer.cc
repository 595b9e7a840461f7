// SPDX-License-Identifier: Apache-2.0
#include "data/row_writer.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "core/error.h"

namespace pathline::data {

namespace {

/// Byte b of all elements together.
std::vector<std::byte> shuffled(std::span<const std::byte> in, std::size_t element) {
  std::vector<std::byte> out(in.size());
  const std::size_t count = in.size() / element;
  for (std::size_t b = 0; b < element; ++b) {
    for (std::size_t i = 0; i < count; ++i) out[b * count + i] = in[i * element + b];
  }
  return out;
}

/// Empty where that would not be shorter.
std::vector<std::byte> deflated(std::span<const std::byte> in, int level) {
  std::vector<std::byte> out(in.size());
  uLongf bytes = out.size();
  const int result = compress2(reinterpret_cast<Bytef*>(out.data()), &bytes, reinterpret_cast<const Bytef*>(in.data()),
                               in.size(), level);
  PL_ASSERT(result == Z_OK || result == Z_BUF_ERROR);
  out.resize(result == Z_OK && bytes < in.size() ? bytes : 0);
  return out;
}

}  // namespace

RowWriter::RowWriter(hdf5::DataSet set, hdf5::Chunking chunking, const FileDescriptor& file)
    : set_(std::move(set)),
      chunking_(chunking),
      file_(file),
      row_bytes_(static_cast<std::size_t>(set_.elements() / static_cast<std::uint64_t>(set_.shape()[0])) *
                 set_.element_bytes()) {
  PL_ASSERT((chunking_.rows == 0) == set_.offset().has_value());
}

void RowWriter::put(std::int64_t index, std::span<const std::byte> row) {
  PL_ASSERT(index >= 0 && index < set_.shape()[0] && row.size() == row_bytes_);
  if (chunking_.rows == 0) return file_.write(*set_.offset() + static_cast<std::uint64_t>(index) * row_bytes_, row);
  const std::int64_t number = index / chunking_.rows, first = number * chunking_.rows;
  std::unique_lock lock(mutex_);
  Chunk& chunk = begun_[number];
  if (chunk.bytes.empty()) {
    chunk.bytes.resize(static_cast<std::size_t>(chunking_.rows) * row_bytes_);  // chunks at the end are stored whole
    chunk.rows_left = std::min(chunking_.rows, set_.shape()[0] - first);
  }
  std::memcpy(chunk.bytes.data() + static_cast<std::size_t>(index - first) * row_bytes_, row.data(), row.size());
  if (--chunk.rows_left > 0) return;
  const std::vector<std::byte> whole = std::move(chunk.bytes);
  begun_.erase(number);
  lock.unlock();
  write(number, whole);
}

// The library's own pipeline would deflate under its lock, one chunk at a time.
void RowWriter::write(std::int64_t number, std::span<const std::byte> bytes) const {
  const std::int64_t first = number * chunking_.rows;
  if (chunking_.deflate == 0) return set_.write_chunk(first, 0, bytes);
  const bool shuffles = set_.element_bytes() > 1;
  const std::vector<std::byte> packed = shuffles ? deflated(shuffled(bytes, set_.element_bytes()), chunking_.deflate)
                                                 : deflated(bytes, chunking_.deflate);
  const std::uint32_t all_filters = shuffles ? 3 : 1;
  packed.empty() ? set_.write_chunk(first, all_filters, bytes) : set_.write_chunk(first, 0, packed);
}

}  // namespace pathline::data
