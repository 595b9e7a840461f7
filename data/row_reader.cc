// SPDX-License-Identifier: Apache-2.0
#include "data/row_reader.h"

#include "core/error.h"
#include "data/chunk_filters.h"
#include "data/item_reader.h"

namespace pathline::data {

RowReader::RowReader(const hdf5::File& file, hdf5::DataSet set) : set_(std::move(set)) {
  check_inside(file, set_);
  PL_ASSERT(!set_.shape().empty() && set_.shape()[0] > 0);
  row_bytes_ =
      static_cast<std::size_t>(set_.elements() / static_cast<std::uint64_t>(set_.shape()[0])) * set_.element_bytes();
  if (set_.offset()) {
    file_.emplace(file.path(), FileDescriptor::Access::kRead);
  } else if (std::optional<hdf5::ChunkMap> map = hdf5::chunk_map(file, set_);
             map && unknown_filters(map->filters).empty()) {
    const std::string name = core::concat(set_.name(), " in ", file.path());
    chunks_ = std::make_unique<ChunkReader>(file.path(), name, std::move(*map));
  }
}

void RowReader::read(std::int64_t index, std::span<std::byte> out) const {
  PL_ASSERT(index >= 0 && index < set_.shape()[0] && out.size() == row_bytes_);
  if (file_) return file_->read(*set_.offset() + static_cast<std::uint64_t>(index) * row_bytes_, out);
  if (chunks_) return chunks_->read(index, out);
  set_.read_stored(index, 1, out);
}

}  // namespace pathline::data
