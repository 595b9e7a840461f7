// SPDX-License-Identifier: Apache-2.0
#include "data/chunk_reader.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "data/chunk_filters.h"

namespace pathline::data {

namespace {

std::size_t product(const std::vector<std::int64_t>& sizes, std::size_t first) {
  std::size_t all = 1;
  for (std::size_t axis = first; axis < sizes.size(); ++axis) all *= static_cast<std::size_t>(sizes[axis]);
  return all;
}

}  // namespace

/// What one chunk holds of a row.
struct ChunkReader::Piece {
  std::size_t number;                // of the chunk
  std::size_t row;                   // inside the chunk
  std::vector<std::int64_t> corner;  // of the chunk in the row, by axis; [0] is not used
};

ChunkReader::ChunkReader(const std::string& path, std::string name, hdf5::ChunkMap map)
    : name_(std::move(name)),
      map_(std::move(map)),
      file_(path, FileDescriptor::Access::kRead),
      row_bytes_(product(map_.shape, 1) * map_.element_bytes),
      chunk_row_bytes_(product(map_.chunk, 1) * map_.element_bytes) {
  PL_ASSERT(unknown_filters(map_.filters).empty());
  for (std::size_t axis = 1; axis < map_.shape.size(); ++axis) {
    chunks_a_row_ *= static_cast<std::size_t>(map_.along(axis));
  }
  for (std::size_t axis = 0; axis < map_.shape.size(); ++axis) {
    row_steps_.push_back(product(map_.shape, axis + 1) * map_.element_bytes);
    chunk_steps_.push_back(product(map_.chunk, axis + 1) * map_.element_bytes);
  }
  whole_rows_ = chunks_a_row_ == 1 && chunk_row_bytes_ == row_bytes_;
  decode_into(std::make_shared<DecodedChunks>(2 * chunks_a_row_ * map_.chunk_bytes()));
}

std::int64_t ChunkReader::rows_together() const { return map_.filters.empty() ? 1 : map_.chunk[0]; }

void ChunkReader::decode_into(std::shared_ptr<DecodedChunks> store) {
  reader_ = store->join();
  decoded_ = std::move(store);
}

void ChunkReader::will_read(std::int64_t index) const {
  const std::size_t first = static_cast<std::size_t>(index / map_.chunk[0]) * chunks_a_row_;
  const std::size_t row_at = static_cast<std::size_t>(index % map_.chunk[0]) * chunk_row_bytes_;
  for (std::size_t number = first; number < first + chunks_a_row_; ++number) {
    const hdf5::StoredChunk& chunk = map_.chunks[number];
    if (map_.filters.empty() && chunk.bytes > 0) file_.will_read(chunk.offset + row_at, chunk_row_bytes_);
    if (!map_.filters.empty()) file_.will_read(chunk.offset, chunk.bytes);
  }
}

void ChunkReader::read(std::int64_t index, std::span<std::byte> out) const {
  PL_ASSERT(index >= 0 && index < map_.shape[0] && out.size() == row_bytes_);
  if (whole_rows_) return read_whole(index, out);
  Piece piece{static_cast<std::size_t>(index / map_.chunk[0]) * chunks_a_row_,
              static_cast<std::size_t>(index % map_.chunk[0]), std::vector<std::int64_t>(map_.shape.size(), 0)};
  for (std::size_t i = 0; i < chunks_a_row_; ++i, ++piece.number) {
    read_piece(piece, out);
    for (std::size_t axis = map_.shape.size(); axis-- > 1;) {  // the next corner, the last axis fastest
      piece.corner[axis] += map_.chunk[axis];
      if (piece.corner[axis] < map_.shape[axis]) break;
      piece.corner[axis] = 0;
    }
  }
}

/// Copies the part of `from`, a row of a chunk, that lies inside the row `to`, at the piece's corner.
void ChunkReader::copy_box(const Piece& piece, std::size_t axis, const std::byte* from, std::byte* to) const {
  const std::int64_t corner = piece.corner[axis];
  const auto count = static_cast<std::size_t>(std::min(map_.chunk[axis], map_.shape[axis] - corner));
  to += static_cast<std::size_t>(corner) * row_steps_[axis];
  if (axis + 1 == map_.shape.size()) {
    std::memcpy(to, from, count * map_.element_bytes);
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    copy_box(piece, axis + 1, from + i * chunk_steps_[axis], to + i * row_steps_[axis]);
  }
}

/// A row that lies in one chunk as it is.
void ChunkReader::read_whole(std::int64_t index, std::span<std::byte> out) const {
  const auto number = static_cast<std::size_t>(index / map_.chunk[0]);
  const std::size_t row_at = static_cast<std::size_t>(index % map_.chunk[0]) * row_bytes_;
  const hdf5::StoredChunk& chunk = map_.chunks[number];
  if (chunk.bytes == 0) return fill(out);
  if (map_.filters.empty()) return file_.read(chunk.offset + row_at, out);
  if (map_.chunk[0] == 1) {  // read by nobody else: past the store of decoded chunks
    thread_local std::vector<std::byte> stored;
    stored.resize(chunk.bytes);
    file_.read(chunk.offset, stored);
    return decode_chunk(map_.filters, chunk.skipped, stored, out, core::concat("chunk ", number, " of ", name_));
  }
  const DecodedChunks::Bytes rows = shared(number);
  std::memcpy(out.data(), rows->data() + row_at, out.size());
}

void ChunkReader::read_piece(const Piece& piece, std::span<std::byte> out) const {
  const hdf5::StoredChunk& chunk = map_.chunks[piece.number];
  const std::size_t row_at = piece.row * chunk_row_bytes_;
  std::vector<std::byte> own;
  DecodedChunks::Bytes chunk_bytes;
  const std::byte* from = nullptr;
  if (map_.filters.empty() || chunk.bytes == 0) {
    own.resize(chunk_row_bytes_);
    if (chunk.bytes == 0) {
      fill(own);
    } else {
      file_.read(chunk.offset + row_at, own);
    }
    from = own.data();
  } else {
    chunk_bytes = shared(piece.number);
    from = chunk_bytes->data() + row_at;
  }
  copy_box(piece, 1, from, out.data());
}

void ChunkReader::decode_now(std::int64_t index) const {
  if (rows_together() == 1) return;
  const std::size_t first = static_cast<std::size_t>(index / map_.chunk[0]) * chunks_a_row_;
  for (std::size_t number = first; number < first + chunks_a_row_; ++number) {
    if (map_.chunks[number].bytes > 0) shared(number);
  }
}

DecodedChunks::Bytes ChunkReader::shared(std::size_t number) const {
  return decoded_->get(reader_, number, [&] { return decoded(number); });
}

std::vector<std::byte> ChunkReader::decoded(std::size_t number) const {
  const hdf5::StoredChunk& chunk = map_.chunks[number];
  std::vector<std::byte> stored(chunk.bytes), out(map_.chunk_bytes());
  file_.read(chunk.offset, stored);
  decode_chunk(map_.filters, chunk.skipped, stored, out, core::concat("chunk ", number, " of ", name_));
  return out;
}

void ChunkReader::fill(std::span<std::byte> out) const {
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = map_.fill[i % map_.fill.size()];
}

}  // namespace pathline::data
