// SPDX-License-Identifier: Apache-2.0
#include "data/hdf5.h"

#include <hdf5.h>

#include <algorithm>
#include <bit>
#include <filesystem>
#include <mutex>
#include <utility>

namespace pathline::data::hdf5 {

static_assert(sizeof(hid_t) == sizeof(std::int64_t), "HDF5 1.10 or newer");
static_assert(std::endian::native == std::endian::little, "stores are little-endian, as memory");

namespace {

using core::ExitCode;

constexpr std::size_t kMostDataSets = 1000;
constexpr int kDeepestGroup = 3;

/// Held around every call into the library. Recursive: handles close themselves inside locked functions.
class Lock {
 public:
  Lock() : lock_(mutex()) { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }  // it would print to stderr

 private:
  static std::recursive_mutex& mutex() {
    // Kept for handles in static objects. At exit the library would crash over a file that a full disk kept from
    // closing.
    static std::recursive_mutex* only = (H5dont_atexit(), new std::recursive_mutex);
    return *only;
  }
  std::lock_guard<std::recursive_mutex> lock_;
};

/// The innermost entry of the library's error stack, which names the cause.
std::string reason() {
  std::string text;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned n, const H5E_error2_t* entry, void* out) -> herr_t {
        if (n == 0 && entry->desc) *static_cast<std::string*>(out) = entry->desc;
        return 0;
      },
      &text);
  return text.empty() ? "no reason given" : text;
}

/// The checked wrapper: `result` of a call that did `what` to the file at `path`.
template <class Result>
Result checked(Result result, const std::string& path, const std::string& what, ExitCode code = ExitCode::kInput) {
  PL_CHECK(result >= 0, code, "cannot ", what, " in ", path, " (the HDF5 library says: ", reason(), "). ",
           code == ExitCode::kInput ? "The file is damaged or of an unknown kind; fetch or import it again."
                                    : "Look for space and permissions there.");
  return result;
}

hid_t native(Element element) {
  switch (element) {
    case Element::kUint8:
      return H5T_NATIVE_UINT8;
    case Element::kInt32:
      return H5T_NATIVE_INT32;
    case Element::kUint32:
      return H5T_NATIVE_UINT32;
    case Element::kInt64:
      return H5T_NATIVE_INT64;
    case Element::kUint64:
      return H5T_NATIVE_UINT64;
    case Element::kFloat32:
      return H5T_NATIVE_FLOAT;
    case Element::kFloat64:
      return H5T_NATIVE_DOUBLE;
  }
  PL_ASSERT(false);
  return -1;
}

Handle access_properties() {
  Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
#if H5_VERSION_GE(1, 10, 7)
  // Readers need no lock, a file being written has a name of its own, and some network file systems know no locks.
  H5Pset_file_locking(access.id(), false, true);
#endif
  return access;
}

Handle fixed_text(std::size_t bytes) {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.id(), std::max<std::size_t>(bytes, 1));
  H5Tset_strpad(type.id(), H5T_STR_NULLPAD);
  H5Tset_cset(type.id(), H5T_CSET_UTF8);
  return type;
}

std::vector<std::string> cut(const std::vector<char>& bytes, std::size_t each) {
  std::vector<std::string> texts;
  for (std::size_t at = 0; at + each <= bytes.size(); at += each) {
    std::string text(bytes.data() + at, each);
    text.resize(std::min(text.find('\0'), text.size()));
    texts.push_back(text.substr(0, text.find_last_not_of(' ') + 1));
  }
  return texts;
}

/// An attribute of an object, or an empty handle.
Handle attribute_of(hid_t file, const std::string& object, const std::string& name) {
  if (H5Aexists_by_name(file, object.c_str(), name.c_str(), H5P_DEFAULT) <= 0) return Handle();
  return Handle(H5Aopen_by_name(file, object.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
}

}  // namespace

Handle::Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}

Handle& Handle::operator=(Handle&& other) noexcept {
  if (this != &other) {
    close();
    id_ = std::exchange(other.id_, -1);
    close_ = other.close_;
  }
  return *this;
}

Handle::~Handle() { close(); }

int Handle::close() {
  if (id_ < 0) return 0;
  const Lock lock;
  return close_(std::exchange(id_, -1));
}

// ---- DataSet

DataSet::DataSet(std::string path, std::string name, std::int64_t file)
    : path_(std::move(path)), name_(std::move(name)) {
  set_ = Handle(checked(H5Dopen2(file, name_.c_str(), H5P_DEFAULT), path_, "open " + name_), H5Dclose);
  type_ = Handle(checked(H5Dget_type(set_.id()), path_, "read the type of " + name_), H5Tclose);
  const Handle space(checked(H5Dget_space(set_.id()), path_, "read the shape of " + name_), H5Sclose);
  const int rank = checked(H5Sget_simple_extent_ndims(space.id()), path_, "read the shape of " + name_);
  std::vector<hsize_t> sizes(static_cast<std::size_t>(rank));
  checked(H5Sget_simple_extent_dims(space.id(), sizes.data(), nullptr), path_, "read the shape of " + name_);
  shape_.assign(sizes.begin(), sizes.end());
  elements_ = 1;
  for (const hsize_t size : sizes) {
    PL_CHECK(size == 0 || elements_ <= (std::uint64_t{1} << 60) / size, ExitCode::kInput, "data set ", name_, " in ",
             path_, " claims ", shape_text(shape_), " elements (no machine holds so many). The file is damaged.");
    elements_ *= size;
  }
  learn_type();
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
                                  : "other type";
}

// A data set is read directly only if its bytes lie in this file in one piece. Files with a user block are left to the
// library: whether H5Dget_offset() counts that block depends on the version of the library.
void DataSet::learn_storage(std::int64_t file) {
  Handle plan(checked(H5Dget_create_plist(set_.id()), path_, "read the layout of " + name_), H5Pclose);
  const H5D_layout_t layout = H5Pget_layout(plan.id());
  const bool filtered = H5Pget_nfilters(plan.id()) > 0;
  storage_ = layout == H5D_CONTIGUOUS ? "contiguous" : layout == H5D_COMPACT ? "compact" : "virtual";
  if (layout == H5D_CHUNKED) {
    std::vector<hsize_t> chunk(shape_.size());
    checked(H5Pget_chunk(plan.id(), static_cast<int>(chunk.size()), chunk.data()), path_,
            "read the chunks of " + name_);
    std::size_t bytes = element_bytes_;
    for (const hsize_t size : chunk) bytes *= size;
    storage_ = "chunks of " + shape_text(std::vector<std::int64_t>(chunk.begin(), chunk.end())) +
               (filtered ? ", filtered" : "");
    // A cache larger than nothing only costs where chunks need no decoding; where they do, it must hold a whole one.
    const Handle access(H5Pcreate(H5P_DATASET_ACCESS), H5Pclose);
    H5Pset_chunk_cache(access.id(), 521, filtered ? std::max<std::size_t>(2 * bytes, 1 << 20) : 0, 0.75);
    set_ = Handle(checked(H5Dopen2(file, name_.c_str(), access.id()), path_, "open " + name_), H5Dclose);
    return;
  }
  if (layout != H5D_CONTIGUOUS || H5Pget_external_count(plan.id()) != 0) return;
  const Handle creation(checked(H5Fget_create_plist(file), path_, "read the header"), H5Pclose);
  hsize_t user_block = 0;
  checked(H5Pget_userblock(creation.id(), &user_block), path_, "read the header");
  const haddr_t offset = H5Dget_offset(set_.id());
  if (user_block == 0 && offset != HADDR_UNDEF && H5Dget_storage_size(set_.id()) == elements_ * element_bytes_) {
    offset_ = offset;
  }
}

bool DataSet::is(Element element) const {
  const Lock lock;
  return H5Tequal(type_.id(), native(element)) > 0;
}

std::string DataSet::describe() const { return name_ + " " + type_text_ + " " + shape_text(shape_); }

void DataSet::read(std::int64_t first, std::int64_t rows, Element element, std::span<std::byte> out) const {
  const Lock lock;
  const std::string what = core::concat("read rows ", first, " to ", first + rows, " of ", name_);
  std::vector<hsize_t> start(shape_.size(), 0), count(shape_.begin(), shape_.end());
  PL_ASSERT(!shape_.empty() && first >= 0 && rows >= 0 && first + rows <= shape_[0]);
  start[0] = static_cast<hsize_t>(first);
  count[0] = static_cast<hsize_t>(rows);
  hsize_t values = 1;
  for (const hsize_t size : count) values *= size;
  if (values == 0) return;
  PL_ASSERT(out.size() == values * H5Tget_size(native(element)));
  const Handle from(checked(H5Dget_space(set_.id()), path_, what), H5Sclose);
  checked(H5Sselect_hyperslab(from.id(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr), path_, what);
  const Handle to(checked(H5Screate_simple(1, &values, nullptr), path_, what), H5Sclose);
  checked(H5Dread(set_.id(), native(element), to.id(), from.id(), H5P_DEFAULT, out.data()), path_, what);
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

// ---- File

File File::open(const std::string& path) {
  std::error_code missing;
  const std::uintmax_t bytes = std::filesystem::file_size(path, missing);
  PL_CHECK(!missing, ExitCode::kInput, "cannot open the data set ", path, " (", missing.message(),
           "). Check the path, or make the file with `pathline data import` or `pathline data make`.");
  const Lock lock;
  const Handle access = access_properties();
  const hid_t id = H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.id());
  const std::string why = id < 0 ? reason() : "";
  PL_CHECK(why.find("truncated file") == std::string::npos, ExitCode::kInput, path, " is truncated: it has ", bytes,
           " bytes (the HDF5 library says: ", why, "), so samples are missing. Copy or import it again.");
  PL_CHECK(id >= 0, ExitCode::kInput, "cannot read ", path, " as an HDF5 file of ", bytes,
           " bytes (the HDF5 library says: ", why,
           "). Give a file that `pathline data import` made, or import this one.");
  File file(path, Handle(id, H5Fclose));
  file.bytes_ = bytes;
  return file;
}

File File::create(const std::string& path) {
  const Lock lock;
  const Handle access = access_properties();
  // From 1.8 on all metadata carry checksums; without them the library may crash over a turned bit.
  H5Pset_libver_bounds(access.id(), H5F_LIBVER_V18, H5F_LIBVER_V110);
  H5Pset_alignment(access.id(), 1 << 16, 1 << 12);  // pixels start on a page
  const Handle plan(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
  H5Pset_obj_track_times(plan.id(), false);
  const hid_t id = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, plan.id(), access.id());
  return File(path, Handle(checked(id, path, "create a file", ExitCode::kEnvironment), H5Fclose));
}

bool File::has(const std::string& name) const {
  const Lock lock;
  return H5Lexists(file_.id(), name.c_str(), H5P_DEFAULT) > 0;
}

DataSet File::data_set(const std::string& name) const {
  const Lock lock;
  return DataSet(path_, name, file_.id());
}

std::vector<DataSet> File::data_sets() const {
  const Lock lock;
  std::vector<DataSet> found;
  const auto visit = [&](const auto& again, const std::string& group, int depth) -> void {
    const std::string what = "list " + (group.empty() ? "/" : group);
    const Handle opened(checked(H5Gopen2(file_.id(), (group + "/").c_str(), H5P_DEFAULT), path_, what), H5Gclose);
    H5G_info_t about;
    checked(H5Gget_info(opened.id(), &about), path_, what);
    for (hsize_t i = 0; i < about.nlinks && found.size() < kMostDataSets; ++i) {
      char name[256];
      const ssize_t length =
          checked(H5Lget_name_by_idx(opened.id(), ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT),
                  path_, what);
      if (length >= static_cast<ssize_t>(sizeof name)) continue;
      const Handle object(H5Oopen(opened.id(), name, H5P_DEFAULT), H5Oclose);
      if (object.id() < 0) continue;  // a link to nowhere
      const H5I_type_t kind = H5Iget_type(object.id());
      if (kind == H5I_DATASET) found.push_back(DataSet(path_, group + "/" + name, file_.id()));
      if (kind == H5I_GROUP && depth < kDeepestGroup) again(again, group + "/" + name, depth + 1);
    }
  };
  visit(visit, "", 1);
  return found;
}

// ---- Attributes

// Texts of fixed length (ours) and of variable length (h5py's), any number of them.
std::vector<std::string> File::texts(const std::string& object, const std::string& name) const {
  const Lock lock;
  const Handle attribute = attribute_of(file_.id(), object, name);
  if (attribute.id() < 0) return {};
  const std::string what = "read attribute " + name + " of " + object;
  const Handle type(checked(H5Aget_type(attribute.id()), path_, what), H5Tclose);
  const Handle space(checked(H5Aget_space(attribute.id()), path_, what), H5Sclose);
  const hssize_t count = checked(H5Sget_simple_extent_npoints(space.id()), path_, what);
  const std::size_t each = H5Tget_size(type.id());
  if (H5Tget_class(type.id()) != H5T_STRING || count == 0) return {};
  if (H5Tis_variable_str(type.id()) <= 0) {
    PL_CHECK(each * static_cast<std::size_t>(count) <= bytes_, ExitCode::kInput, "cannot ", what, " in ", path_, " (",
             count, " texts of ", each, " bytes are more than the file has). The file is damaged.");
    std::vector<char> bytes(each * static_cast<std::size_t>(count));
    checked(H5Aread(attribute.id(), type.id(), bytes.data()), path_, what);
    return cut(bytes, each);
  }
  std::vector<char*> pointers(static_cast<std::size_t>(count));
  checked(H5Aread(attribute.id(), type.id(), pointers.data()), path_, what);
  std::vector<std::string> texts;
  for (const char* text : pointers) texts.emplace_back(text ? text : "");
  H5Dvlen_reclaim(type.id(), space.id(), H5P_DEFAULT, pointers.data());
  return texts;
}

std::optional<std::string> File::text(const std::string& object, const std::string& name) const {
  std::vector<std::string> all = texts(object, name);
  if (all.size() != 1) return std::nullopt;
  return all[0];
}

std::optional<std::int64_t> File::integer(const std::string& object, const std::string& name) const {
  const Lock lock;
  const Handle attribute = attribute_of(file_.id(), object, name);
  if (attribute.id() < 0) return std::nullopt;
  const Handle type(H5Aget_type(attribute.id()), H5Tclose);
  const Handle space(H5Aget_space(attribute.id()), H5Sclose);
  if (H5Tget_class(type.id()) != H5T_INTEGER || H5Sget_simple_extent_npoints(space.id()) != 1) return std::nullopt;
  std::int64_t value = 0;
  checked(H5Aread(attribute.id(), H5T_NATIVE_INT64, &value), path_, "read attribute " + name + " of " + object);
  return value;
}

DataSet File::create_data_set(const std::string& name, Element element, const std::vector<std::int64_t>& shape) {
  const Lock lock;
  const std::vector<hsize_t> sizes(shape.begin(), shape.end());
  const Handle space(H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr), H5Sclose);
  const Handle plan(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_alloc_time(plan.id(), H5D_ALLOC_TIME_EARLY);
  H5Pset_fill_time(plan.id(), H5D_FILL_TIME_NEVER);
  H5Pset_obj_track_times(plan.id(), false);  // equal sets are equal files
  const hid_t id =
      H5Dcreate2(file_.id(), name.c_str(), native(element), space.id(), H5P_DEFAULT, plan.id(), H5P_DEFAULT);
  Handle(checked(id, path_, "create " + name, ExitCode::kEnvironment), H5Dclose).close();
  return DataSet(path_, name, file_.id());
}

void File::write_attribute(const std::string& object, const std::string& name, std::int64_t type, std::int64_t space,
                           const void* data) {
  const std::string what = "write attribute " + name + " of " + object;
  const hid_t id =
      H5Acreate_by_name(file_.id(), object.c_str(), name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  const Handle attribute(checked(id, path_, what, ExitCode::kEnvironment), H5Aclose);
  checked(H5Awrite(attribute.id(), type, data), path_, what, ExitCode::kEnvironment);
}

void File::set_text(const std::string& object, const std::string& name, const std::string& value) {
  const Lock lock;
  const Handle type = fixed_text(value.size());
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  write_attribute(object, name, type.id(), space.id(), value.empty() ? "" : value.data());
}

void File::set_texts(const std::string& object, const std::string& name, const std::vector<std::string>& values) {
  const Lock lock;
  std::size_t longest = 1;
  for (const std::string& value : values) longest = std::max(longest, value.size());
  std::vector<char> bytes(longest * values.size());
  for (std::size_t i = 0; i < values.size(); ++i) std::ranges::copy(values[i], bytes.data() + i * longest);
  const Handle type = fixed_text(longest);
  const hsize_t count = values.size();
  const Handle space(H5Screate_simple(1, &count, nullptr), H5Sclose);
  write_attribute(object, name, type.id(), space.id(), bytes.data());
}

void File::set_integer(const std::string& object, const std::string& name, std::int64_t value) {
  const Lock lock;
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  write_attribute(object, name, H5T_NATIVE_INT64, space.id(), &value);
}

void File::close() {
  const Lock lock;
  checked(file_.close(), path_, "close the file", ExitCode::kEnvironment);
}

std::string built_version() { return core::concat(H5_VERS_MAJOR, ".", H5_VERS_MINOR, ".", H5_VERS_RELEASE); }

std::string loaded_version() {
  const Lock lock;
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return core::concat(major, ".", minor, ".", release);
}

std::string shape_text(std::span<const std::int64_t> shape) {
  if (shape.empty()) return "scalar";
  std::string text;
  for (const std::int64_t size : shape) text += (text.empty() ? "" : "x") + std::to_string(size);
  return text;
}

}  // namespace pathline::data::hdf5
