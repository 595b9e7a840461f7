// SPDX-License-Identifier: Apache-2.0
#include "data/item_reader.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "data/chunk_filters.h"

namespace pathline::data {

namespace {

using core::ExitCode;

constexpr std::uint64_t kBestDeflate = 1100;  // no deflated byte stands for more (1032 by its format)

/// (channels, height, width) -> (height, width, channels)
void channels_last(const SetInfo& info, std::span<const std::byte> from, std::span<std::byte> to) {
  const std::size_t pixels = static_cast<std::size_t>(info.height * info.width);
  const std::size_t channels = static_cast<std::size_t>(info.channels);
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t p = 0; p < pixels; ++p) to[p * channels + c] = from[c * pixels + p];
  }
}

/// The `size` bytes of one number, in the order of this machine.
std::uint64_t bits_of(const std::byte* stored, const hdf5::NumberType& type) {
  std::uint64_t bits = 0;
  std::byte ordered[8] = {};
  std::memcpy(ordered, stored, type.bytes);
  if (type.big_endian) std::reverse(ordered, ordered + type.bytes);
  std::memcpy(&bits, ordered, sizeof bits);
  return bits;
}

/// Exact but for whole numbers above 2^53, which are no pixels in any case.
double number_of(const std::byte* stored, const hdf5::NumberType& type) {
  using Kind = hdf5::NumberType::Kind;
  const std::uint64_t bits = bits_of(stored, type);
  if (type.kind == Kind::kFloat) {
    return type.bytes == 4 ? std::bit_cast<float>(static_cast<std::uint32_t>(bits)) : std::bit_cast<double>(bits);
  }
  if (type.kind == Kind::kUnsigned) return static_cast<double>(bits);
  const int unused = 64 - 8 * static_cast<int>(type.bytes);
  return static_cast<double>(static_cast<std::int64_t>(bits << unused) >> unused);
}

}  // namespace

hdf5::Element element_of(ItemKind kind) {
  switch (kind) {
    case ItemKind::kImage:
      return hdf5::Element::kUint8;
    case ItemKind::kLatent:
      return hdf5::Element::kFloat16;
    case ItemKind::kPoint:
      break;
  }
  return hdf5::Element::kFloat32;
}

void check_inside(const hdf5::File& file, const hdf5::DataSet& set) {
  const std::uint64_t bytes = set.elements() * set.element_bytes();
  if (const auto offset = set.offset()) {
    PL_CHECK(*offset <= file.bytes() && bytes <= file.bytes() - *offset, ExitCode::kInput, file.path(),
             " is truncated: ", set.name(), " needs ", *offset + bytes, " bytes, the file has ", file.bytes(),
             ", so samples are missing. Copy or import it again.");
  }
  PL_CHECK(bytes / kBestDeflate <= file.bytes(), ExitCode::kInput, "data set ", set.describe(), " cannot lie in ",
           file.path(), ", which has ", file.bytes(),
           " bytes. The file is truncated or damaged; copy or import it again.");
}

ItemReader::ItemReader(const hdf5::File& file, hdf5::DataSet set, const SetInfo& info, Layout layout, PixelRange range)
    : file_path_(file.path()),
      set_(std::move(set)),
      info_(info),
      layout_(layout),
      range_(range),
      element_(element_of(info.kind)),
      as_stored_(set_.is(element_)) {
  check_inside(file, set_);
  PL_ASSERT(set_.elements() == static_cast<std::uint64_t>(info.count) * info.stored_values());
  PL_ASSERT(as_stored_ || info.kind == ItemKind::kImage);
  if (!as_stored_) convert_ = set_.number_type();
  if (!as_stored_ && !convert_) {
    why_library_ = "numbers of an unusual type";
  } else if (set_.offset()) {
    file_.emplace(file_path_, FileDescriptor::Access::kRead);
  } else if (std::optional<hdf5::ChunkMap> map = hdf5::chunk_map(file, set_)) {
    why_library_ = unknown_filters(map->filters);
    PL_CHECK(why_library_.empty() || hdf5::library_decodes(map->filters), ExitCode::kInput, set_.describe(), " in ",
             file_path_, " is compressed with ", why_library_, " (neither Pathline nor this HDF5 library undoes it). ",
             "Write it again with h5py without compression or with gzip, or point HDF5_PLUGIN_PATH to the filter.");
    if (!why_library_.empty()) return;
    chunks_ = std::make_unique<ChunkReader>(file_path_, core::concat(set_.name(), " in ", file_path_), std::move(*map));
  } else {
    why_library_ = "its layout";
  }
}

std::string ItemReader::how() const {
  const char* converted = as_stored_ ? "" : " and converted";
  if (file_) return core::concat(set_.storage(), ", read", converted, " directly");
  if (!chunks_) {
    return core::concat(set_.storage(), ", read", converted, " by the HDF5 library, one thread at a time (for ",
                        why_library_, ")");
  }
  const std::int64_t together = chunks_->rows_together();
  const std::string group = together > 1 ? core::concat(", ", together, " items at a time") : "";
  return core::concat(set_.storage(), ", read", converted, " directly", group);
}

void ItemReader::decode_into(std::shared_ptr<DecodedChunks> store) {
  if (chunks_) chunks_->decode_into(std::move(store));
}

void ItemReader::read(std::int64_t index, std::span<std::byte> out) const {
  PL_ASSERT(index >= 0 && index < info_.count && out.size() == info_.item_bytes());
  if (layout_ == Layout::kChannelsLast) return read_stored(index, out);
  thread_local std::vector<std::byte> stored;
  stored.resize(out.size());
  read_stored(index, stored);
  channels_last(info_, stored, out);
}

void ItemReader::will_read(std::int64_t index) const {
  const std::size_t bytes = info_.stored_values() * set_.element_bytes();
  if (file_) file_->will_read(*set_.offset() + static_cast<std::uint64_t>(index) * bytes, bytes);
  if (chunks_) chunks_->will_read(index);
}

void ItemReader::read_stored(std::int64_t index, std::span<std::byte> out) const {
  if (!file_ && !chunks_) return as_stored_ ? set_.read(index, 1, element_, out) : read_converted(index, out);
  if (as_stored_ && chunks_) return chunks_->read(index, out);
  if (as_stored_) return file_->read(*set_.offset() + static_cast<std::uint64_t>(index) * out.size(), out);
  thread_local std::vector<std::byte> stored;
  stored.resize(info_.item_values() * convert_->bytes);
  if (chunks_) {
    chunks_->read(index, stored);
  } else {
    file_->read(*set_.offset() + static_cast<std::uint64_t>(index) * stored.size(), stored);
  }
  to_bytes(index, stored, out);
}

// Numbers outside their range would be clipped in silence; those that round to a level of it are taken for it.
void ItemReader::to_bytes(std::int64_t index, std::span<const std::byte> stored, std::span<std::byte> out) const {
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = level_of(index, number_of(stored.data() + i * convert_->bytes, *convert_));
  }
}

std::byte ItemReader::level_of(std::int64_t index, double value) const {
  const double level = (value - range_.black) / (range_.white - range_.black) * 255;
  PL_CHECK(level > -0.5 && level < 255.5, ExitCode::kInput, "sample ", index, " of ", file_path_, " (", set_.describe(),
           ") has a pixel of value ", value, " outside ", range_.black, "..", range_.white,
           ". Scale the pixels first, or name the range that they have.");
  return static_cast<std::byte>(std::lround(level));
}

void ItemReader::read_converted(std::int64_t index, std::span<std::byte> out) const {
  std::vector<double> wide(out.size());
  set_.read(index, 1, hdf5::Element::kFloat64, std::as_writable_bytes(std::span(wide)));
  for (std::size_t i = 0; i < wide.size(); ++i) out[i] = level_of(index, wide[i]);
}

}  // namespace pathline::data
