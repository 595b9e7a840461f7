// SPDX-License-Identifier: Apache-2.0
// Arrays in HDF5 files.
#include <hdf5.h>
#include <sys/stat.h>

#include <algorithm>

#include "data/hdf5.h"
#include "data/hdf5_chunks.h"
#include "data/hdf5_library.h"

namespace pathline::data::hdf5 {

using core::ExitCode;

namespace {

constexpr std::uint64_t kMost = std::uint64_t{1} << 60;  // elements, and bytes

}  // namespace

DataSet::DataSet(std::string path, std::string name, std::int64_t file, std::uint64_t file_bytes)
    : path_(std::move(path)), name_(std::move(name)), file_bytes_(file_bytes) {
  set_ = Handle(checked(H5Dopen2(file, name_.c_str(), H5P_DEFAULT), path_, "open " + name_), H5Dclose);
  type_ = Handle(checked(H5Dget_type(set_.id()), path_, "read the type of " + name_), H5Tclose);
  const Handle space(checked(H5Dget_space(set_.id()), path_, "read the shape of " + name_), H5Sclose);
  const int rank = checked(H5Sget_simple_extent_ndims(space.id()), path_, "read the shape of " + name_);
  std::vector<hsize_t> sizes(static_cast<std::size_t>(rank));
  checked(H5Sget_simple_extent_dims(space.id(), sizes.data(), nullptr), path_, "read the shape of " + name_);
  shape_.assign(sizes.begin(), sizes.end());
  elements_ = 1;
  for (const hsize_t size : sizes) {
    PL_CHECK(size == 0 || elements_ <= kMost / size, ExitCode::kInput, "data set ", name_, " in ", path_, " claims ",
             shape_text(shape_), " elements (no machine holds so many). The file is damaged.");
    elements_ *= size;
  }
  learn_type();
  PL_CHECK(elements_ <= kMost / std::max<std::uint64_t>(element_bytes_, 1), ExitCode::kInput, "data set ", name_,
           " of ", path_, " claims ", shape_text(shape_), " elements of ", element_bytes_,
           " bytes (no machine holds so many). The file is damaged.");
  learn_storage(file);
}

void DataSet::learn_type() {
  const H5T_class_t kind = H5Tget_class(type_.id());
  element_bytes_ = H5Tget_size(type_.id());
  integer_ = kind == H5T_INTEGER;
  float_ = kind == H5T_FLOAT;
  text_ = kind == H5T_STRING && H5Tis_variable_str(type_.id()) == 0;
  const char* name = integer_ ? (H5Tget_sign(type_.id()) == H5T_SGN_NONE ? "uint" : "int") : "float";
  type_text_ = integer_ || float_ ? core::concat(name, 8 * element_bytes_)
               : text_            ? core::concat("text of ", element_bytes_, " bytes")
               : kind == H5T_VLEN ? "variable-length values"
                                  : "other type";
}

void DataSet::learn_storage(std::int64_t file) {
  Handle plan(checked(H5Dget_create_plist(set_.id()), path_, "read the layout of " + name_), H5Pclose);
  const H5D_layout_t layout = H5Pget_layout(plan.id());
  storage_ = layout == H5D_CONTIGUOUS ? "contiguous" : layout == H5D_COMPACT ? "compact" : "virtual";
  if (layout == H5D_CHUNKED) return learn_chunks(file, plan.id());
  if (layout != H5D_CONTIGUOUS || H5Pget_external_count(plan.id()) != 0 || elements_ == 0) return;
  if (H5Dget_storage_size(set_.id()) != elements_ * element_bytes_) return;
  const Handle creation(checked(H5Fget_create_plist(file), path_, "read the header"), H5Pclose);
  hsize_t user_block = 0;
  checked(H5Pget_userblock(creation.id(), &user_block), path_, "read the header");
  // Whether H5Dget_offset() counts a user block depends on the version of the library.
  const haddr_t offset = user_block == 0 ? H5Dget_offset(set_.id()) : first_byte(path_, name_);
  if (offset != HADDR_UNDEF) offset_ = offset;
}

void DataSet::learn_chunks(std::int64_t file, std::int64_t plan) {
  const bool filtered = H5Pget_nfilters(plan) > 0;
  std::vector<hsize_t> chunk(shape_.size());
  checked(H5Pget_chunk(plan, static_cast<int>(chunk.size()), chunk.data()), path_, "read the chunks of " + name_);
  std::size_t bytes = element_bytes_;
  for (const hsize_t size : chunk) bytes *= size;
  storage_ =
      "chunks of " + shape_text(std::vector<std::int64_t>(chunk.begin(), chunk.end())) + (filtered ? ", filtered" : "");
  // A cache larger than nothing only costs where chunks need no decoding; where they do, it must hold a whole one.
  const Handle access(H5Pcreate(H5P_DATASET_ACCESS), H5Pclose);
  H5Pset_chunk_cache(access.id(), 521, filtered ? std::max<std::size_t>(2 * bytes, 1 << 20) : 0, 0.75);
  set_ = Handle(checked(H5Dopen2(file, name_.c_str(), access.id()), path_, "open " + name_), H5Dclose);
}

std::optional<NumberType> DataSet::number_type() const {
  const Lock lock;
  const H5T_class_t kind = H5Tget_class(type_.id());
  if (kind != H5T_INTEGER && kind != H5T_FLOAT) return std::nullopt;
  const H5T_order_t order = H5Tget_order(type_.id());
  const bool whole = H5Tget_precision(type_.id()) == 8 * element_bytes_ && H5Tget_offset(type_.id()) == 0;
  const bool usual = element_bytes_ == 1 || element_bytes_ == 2 || element_bytes_ == 4 || element_bytes_ == 8;
  if (!whole || !usual || (order != H5T_ORDER_LE && order != H5T_ORDER_BE)) return std::nullopt;
  NumberType type;
  type.bytes = element_bytes_;
  type.big_endian = order == H5T_ORDER_BE;
  if (kind == H5T_INTEGER) {
    type.kind = H5Tget_sign(type_.id()) == H5T_SGN_NONE ? NumberType::Kind::kUnsigned : NumberType::Kind::kSigned;
    return type;
  }
  const auto is = [&](hid_t other) { return H5Tequal(type_.id(), other) > 0; };
  type.kind = NumberType::Kind::kFloat;
  const bool ieee = is(H5T_IEEE_F32LE) || is(H5T_IEEE_F32BE) || is(H5T_IEEE_F64LE) || is(H5T_IEEE_F64BE);
  return ieee ? std::optional(type) : std::nullopt;
}

bool DataSet::is(Element element) const {
  const Lock lock;
  if (element == Element::kUint8) {  // whatever the order of its one byte
    const std::optional<NumberType> type = number_type();
    return type && type->kind == NumberType::Kind::kUnsigned && type->bytes == 1;
  }
  return H5Tequal(type_.id(), native(element)) > 0;
}

std::string DataSet::describe() const { return name_ + " " + type_text_ + " " + shape_text(shape_); }

bool DataSet::is_plain() const {
  const Lock lock;
  return plain(type_.id());
}

bool DataSet::same_type(const DataSet& other) const {
  const Lock lock;
  return H5Tequal(type_.id(), other.type_.id()) > 0;
}

void DataSet::read(std::int64_t first, std::int64_t rows, Element element, std::span<std::byte> out) const {
  read_as(first, rows, native(element), out);
}

void DataSet::read_stored(std::int64_t first, std::int64_t rows, std::span<std::byte> out) const {
  read_as(first, rows, type_.id(), out);
}

void DataSet::read_as(std::int64_t first, std::int64_t rows, std::int64_t type, std::span<std::byte> out) const {
  const Lock lock;
  const std::string what = core::concat("read rows ", first, " to ", first + rows, " of ", name_);
  std::vector<hsize_t> start(shape_.size(), 0), count(shape_.begin(), shape_.end());
  PL_ASSERT(!shape_.empty() && first >= 0 && rows >= 0 && first + rows <= shape_[0]);
  start[0] = static_cast<hsize_t>(first);
  count[0] = static_cast<hsize_t>(rows);
  hsize_t values = 1;
  for (const hsize_t size : count) values *= size;
  if (values == 0) return;
  PL_ASSERT(out.size() == values * H5Tget_size(type));
  const Handle from(checked(H5Dget_space(set_.id()), path_, what), H5Sclose);
  checked(H5Sselect_hyperslab(from.id(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr), path_, what);
  const Handle to(checked(H5Screate_simple(1, &values, nullptr), path_, what), H5Sclose);
  checked(H5Dread(set_.id(), type, to.id(), from.id(), H5P_DEFAULT, out.data()), path_, what);
  check_not_cut(what);
}

// Behind the end of a file that was cut while it was open the library reads zeros, without a word.
void DataSet::check_not_cut(const std::string& what) const {
  const Handle file(checked(H5Iget_file_id(set_.id()), path_, what), H5Fclose);
  void* descriptor = nullptr;
  struct stat now = {};
  if (H5Fget_vfd_handle(file.id(), H5P_DEFAULT, &descriptor) < 0) return;  // no driver of one plain file
  if (::fstat(*static_cast<const int*>(descriptor), &now) != 0) return;
  PL_CHECK(static_cast<std::uint64_t>(now.st_size) >= file_bytes_, ExitCode::kInput, path_,
           " is truncated: it ends at byte ", now.st_size, ", and had ", file_bytes_, " bytes when it was opened. ",
           "Cannot ", what, "; copy or import the file again.");
}

std::vector<std::int64_t> DataSet::read_integers() const {
  std::vector<std::int64_t> values(elements_);
  if (!shape_.empty()) read(0, shape_[0], Element::kInt64, std::as_writable_bytes(std::span(values)));
  return values;
}

std::vector<std::string> DataSet::read_texts() const {
  const Lock lock;
  std::vector<char> bytes(elements_ * element_bytes_);
  checked(H5Dread(set_.id(), type_.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()), path_, "read " + name_);
  return cut(bytes, element_bytes_);
}

void DataSet::write(std::span<const std::byte> bytes) const {
  const Lock lock;
  PL_ASSERT(bytes.size() == elements_ * element_bytes_);
  if (bytes.empty()) return;
  checked(H5Dwrite(set_.id(), type_.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()), path_, "write " + name_,
          ExitCode::kEnvironment);
}

void DataSet::write_chunk(std::int64_t first, std::uint32_t skipped, std::span<const std::byte> stored) const {
  const Lock lock;
  std::vector<hsize_t> start(shape_.size(), 0);
  start[0] = static_cast<hsize_t>(first);
  checked(H5Dwrite_chunk(set_.id(), H5P_DEFAULT, skipped, start.data(), stored.size(), stored.data()), path_,
          "write " + name_, ExitCode::kEnvironment);
}

}  // namespace pathline::data::hdf5
