// SPDX-License-Identifier: Apache-2.0
#include "data/item_reader.h"

#include <algorithm>
#include <vector>

#include "core/error.h"

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

}  // namespace

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

ItemReader::ItemReader(const hdf5::File& file, hdf5::DataSet set, const SetInfo& info, Layout layout)
    : file_path_(file.path()),
      set_(std::move(set)),
      info_(info),
      layout_(layout),
      element_(info.kind == ItemKind::kImage ? hdf5::Element::kUint8 : hdf5::Element::kFloat32),
      path_(!set_.is(element_) ? Path::kConverted
            : set_.offset()    ? Path::kDirect
                               : Path::kLibrary) {
  check_inside(file, set_);
  PL_ASSERT(set_.elements() == static_cast<std::uint64_t>(info.count) * info.item_values());
  PL_ASSERT(path_ != Path::kConverted || info.kind == ItemKind::kImage);
  if (path_ == Path::kDirect) file_.emplace(file_path_, FileDescriptor::Access::kRead);
}

std::string ItemReader::how() const {
  switch (path_) {
    case Path::kDirect:
      return set_.storage() + ", read directly";
    case Path::kLibrary:
      return set_.storage() + ", read by the HDF5 library, one thread at a time";
    case Path::kConverted:
      return set_.storage() + ", read and converted by the HDF5 library, one thread at a time";
  }
  PL_ASSERT(false);
  return "";
}

void ItemReader::read(std::int64_t index, std::span<std::byte> out) const {
  PL_ASSERT(index >= 0 && index < info_.count && out.size() == info_.item_bytes());
  if (layout_ == Layout::kChannelsLast) return read_stored(index, out);
  std::vector<std::byte> stored(out.size());
  read_stored(index, stored);
  channels_last(info_, stored, out);
}

void ItemReader::read_stored(std::int64_t index, std::span<std::byte> out) const {
  switch (path_) {
    case Path::kDirect:
      return file_->read(*set_.offset() + static_cast<std::uint64_t>(index) * out.size(), out);
    case Path::kLibrary:
      return set_.read(index, 1, element_, out);
    case Path::kConverted:
      return read_converted(index, out);
  }
}

// Pixels in a wider integer type must still be bytes; the library alone would clip them in silence.
void ItemReader::read_converted(std::int64_t index, std::span<std::byte> out) const {
  std::vector<std::int64_t> wide(out.size());
  set_.read(index, 1, hdf5::Element::kInt64, std::as_writable_bytes(std::span(wide)));
  for (std::size_t i = 0; i < wide.size(); ++i) {
    PL_CHECK(wide[i] >= 0 && wide[i] <= 255, ExitCode::kInput, "sample ", index, " of ", file_path_, " (",
             set_.describe(), ") has a pixel of value ", wide[i], " outside 0..255. Scale the pixels to 8 bits first.");
    out[i] = static_cast<std::byte>(wide[i]);
  }
}

}  // namespace pathline::data
