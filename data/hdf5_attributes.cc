// SPDX-License-Identifier: Apache-2.0
// Attributes of HDF5 objects.
#include <hdf5.h>

#include <algorithm>

#include "data/hdf5.h"
#include "data/hdf5_library.h"

namespace pathline::data::hdf5 {

using core::ExitCode;

namespace {

Handle fixed_text(std::size_t bytes) {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.id(), std::max<std::size_t>(bytes, 1));
  H5Tset_strpad(type.id(), H5T_STR_NULLPAD);
  H5Tset_cset(type.id(), H5T_CSET_UTF8);
  return type;
}

}  // namespace

Handle attribute_of(std::int64_t file, const std::string& object, const std::string& name) {
  if (H5Aexists_by_name(file, object.c_str(), name.c_str(), H5P_DEFAULT) <= 0) return Handle();
  return Handle(H5Aopen_by_name(file, object.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
}

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
  PL_CHECK(static_cast<std::uint64_t>(count) <= bytes_ / std::max<std::size_t>(each, 1), ExitCode::kInput, "cannot ",
           what, " in ", path_, " (", count, " texts of ", each, " bytes are more than the file has). The file is ",
           "damaged.");
  if (H5Tis_variable_str(type.id()) <= 0) {
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

bool File::has_attribute(const std::string& object, const std::string& attribute) const {
  const Lock lock;
  return H5Aexists_by_name(file_.id(), object.c_str(), attribute.c_str(), H5P_DEFAULT) > 0;
}

std::string File::referred(const std::string& object, const std::string& name) const {
  const Lock lock;
  const Handle attribute = attribute_of(file_.id(), object, name);
  if (attribute.id() < 0) return "";
  const Handle type(H5Aget_type(attribute.id()), H5Tclose);
  const Handle space(H5Aget_space(attribute.id()), H5Sclose);
  if (H5Tequal(type.id(), H5T_STD_REF_OBJ) <= 0) return "";
  const hssize_t count = H5Sget_simple_extent_npoints(space.id());
  if (count < 1 || static_cast<std::uint64_t>(count) > bytes_ / sizeof(hobj_ref_t)) return "";
  std::vector<hobj_ref_t> references(static_cast<std::size_t>(count));
  const std::string what = "follow attribute " + name + " of " + object;
  checked(H5Aread(attribute.id(), H5T_STD_REF_OBJ, references.data()), path_, what);
  const hid_t id = H5Rdereference2(file_.id(), H5P_DEFAULT, H5R_OBJECT, references.data());
  const Handle target(checked(id, path_, what), H5Oclose);
  char text[1024] = "";
  checked(H5Iget_name(target.id(), text, sizeof text), path_, what);
  return text;
}

std::vector<std::string> File::attribute_names(const std::string& object) const {
  const Lock lock;
  const std::string what = "list the attributes of " + object;
  const Handle opened(checked(H5Oopen(file_.id(), object.c_str(), H5P_DEFAULT), path_, what), H5Oclose);
  std::vector<std::string> names;
  const auto add = [](hid_t, const char* name, const H5A_info_t*, void* out) -> herr_t {
    return static_cast<std::vector<std::string>*>(out)->emplace_back(name), 0;
  };
  checked(H5Aiterate2(opened.id(), H5_INDEX_NAME, H5_ITER_INC, nullptr, add, &names), path_, what);
  return names;
}

std::optional<std::string> File::attribute_bytes(const std::string& object, const std::string& name) const {
  const Lock lock;
  const Handle attribute = attribute_of(file_.id(), object, name);
  if (attribute.id() < 0) return std::nullopt;
  const std::string what = "read attribute " + name + " of " + object;
  const Handle type(checked(H5Aget_type(attribute.id()), path_, what), H5Tclose);
  const Handle space(checked(H5Aget_space(attribute.id()), path_, what), H5Sclose);
  const hssize_t count = checked(H5Sget_simple_extent_npoints(space.id()), path_, what);
  const std::size_t each = H5Tget_size(type.id());
  if (!plain(type.id()) || static_cast<std::uint64_t>(count) > bytes_ / std::max<std::size_t>(each, 1)) {
    return std::nullopt;
  }
  std::size_t type_bytes = 0, space_bytes = 0;
  checked(H5Tencode(type.id(), nullptr, &type_bytes), path_, what);
  checked(H5Sencode(space.id(), nullptr, &space_bytes), path_, what);
  std::string all(type_bytes + space_bytes + each * static_cast<std::size_t>(count), '\0');
  checked(H5Tencode(type.id(), all.data(), &type_bytes), path_, what);
  checked(H5Sencode(space.id(), all.data() + type_bytes, &space_bytes), path_, what);
  if (count > 0) checked(H5Aread(attribute.id(), type.id(), all.data() + type_bytes + space_bytes), path_, what);
  return all;
}

void File::copy_attributes(const File& from, const std::string& object, const std::string& except) {
  const Lock lock;
  for (const std::string& name : from.attribute_names(object)) {
    if (name == except || has_attribute(object, name)) continue;
    const Handle source = attribute_of(from.file_.id(), object, name);
    const std::string what = "copy attribute " + name + " of " + object;
    const Handle type(checked(H5Aget_type(source.id()), from.path_, what), H5Tclose);
    const Handle space(checked(H5Aget_space(source.id()), from.path_, what), H5Sclose);
    if (H5Tis_variable_str(type.id()) > 0) {  // as h5py writes them
      const std::vector<std::string> texts = from.texts(object, name);
      texts.size() == 1 ? set_text(object, name, texts[0]) : set_texts(object, name, texts);
      continue;
    }
    PL_CHECK(plain(type.id()), ExitCode::kInput, "cannot ", what, " in ", from.path_,
             " (it is neither text nor a number). Delete it from the file first.");
    const auto count = static_cast<std::size_t>(checked(H5Sget_simple_extent_npoints(space.id()), from.path_, what));
    PL_CHECK(count <= from.bytes_ / std::max<std::size_t>(H5Tget_size(type.id()), 1), ExitCode::kInput, "cannot ", what,
             " in ", from.path_, " (it claims more bytes than the file has). The file is damaged.");
    std::vector<char> bytes(count * H5Tget_size(type.id()) + 1);
    checked(H5Aread(source.id(), type.id(), bytes.data()), from.path_, what);
    write_attribute(object, name, type.id(), space.id(), bytes.data());
  }
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

}  // namespace pathline::data::hdf5
