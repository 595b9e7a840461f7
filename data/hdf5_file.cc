// SPDX-License-Identifier: Apache-2.0
// HDF5 files: what they hold, their attributes, and making them.
#include <hdf5.h>

#include <algorithm>
#include <filesystem>

#include "data/hdf5.h"
#include "data/hdf5_library.h"

namespace pathline::data::hdf5 {

using core::ExitCode;

namespace {

constexpr std::size_t kMostDataSets = 1000;
constexpr int kDeepestGroup = 3;

Handle fixed_text(std::size_t bytes) {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.id(), std::max<std::size_t>(bytes, 1));
  H5Tset_strpad(type.id(), H5T_STR_NULLPAD);
  H5Tset_cset(type.id(), H5T_CSET_UTF8);
  return type;
}

/// An attribute of an object, or an empty handle.
Handle attribute_of(hid_t file, const std::string& object, const std::string& name) {
  if (H5Aexists_by_name(file, object.c_str(), name.c_str(), H5P_DEFAULT) <= 0) return Handle();
  return Handle(H5Aopen_by_name(file, object.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
}

}  // namespace

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

std::vector<double> File::numbers(const std::string& object, const std::string& name) const {
  const Lock lock;
  const Handle attribute = attribute_of(file_.id(), object, name);
  if (attribute.id() < 0) return {};
  const std::string what = "read attribute " + name + " of " + object;
  const Handle type(checked(H5Aget_type(attribute.id()), path_, what), H5Tclose);
  const Handle space(checked(H5Aget_space(attribute.id()), path_, what), H5Sclose);
  const H5T_class_t kind = H5Tget_class(type.id());
  const hssize_t count = checked(H5Sget_simple_extent_npoints(space.id()), path_, what);
  if ((kind != H5T_FLOAT && kind != H5T_INTEGER) || static_cast<std::uint64_t>(count) > bytes_) return {};
  std::vector<double> values(static_cast<std::size_t>(count));
  if (count > 0) checked(H5Aread(attribute.id(), H5T_NATIVE_DOUBLE, values.data()), path_, what);
  return values;
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

void File::set_numbers(const std::string& object, const std::string& name, std::span<const double> values) {
  const Lock lock;
  const hsize_t count = values.size();
  const Handle space(H5Screate_simple(1, &count, nullptr), H5Sclose);
  write_attribute(object, name, H5T_NATIVE_DOUBLE, space.id(), values.data());
}

void File::close() {
  const Lock lock;
  checked(file_.close(), path_, "close the file", ExitCode::kEnvironment);
}

}  // namespace pathline::data::hdf5
