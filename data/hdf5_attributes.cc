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

/// One attribute with its type and extent; false where the object has none of that name.
struct Attribute {
  Handle handle, type, space;
  std::uint64_t count = 0;  // of elements
  std::size_t each = 0;     // bytes of an element

  explicit operator bool() const { return handle.id() >= 0; }
  H5T_class_t kind() const { return H5Tget_class(type.id()); }
  /// Whether a file of that many bytes can hold what the attribute claims to be.
  bool fits(std::uint64_t bytes) const { return count <= bytes / std::max<std::size_t>(each, 1); }
};

/// Opens the attribute to do `what` in the file at `path`.
Attribute attribute_of(std::int64_t file, const std::string& object, const std::string& name, const std::string& path,
                       const std::string& what) {
  Attribute found;
  if (H5Aexists_by_name(file, object.c_str(), name.c_str(), H5P_DEFAULT) <= 0) return found;
  const hid_t id = H5Aopen_by_name(file, object.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT);
  found.handle = Handle(checked(id, path, what), H5Aclose);
  found.type = Handle(checked(H5Aget_type(id), path, what), H5Tclose);
  found.space = Handle(checked(H5Aget_space(id), path, what), H5Sclose);
  found.count = static_cast<std::uint64_t>(checked(H5Sget_simple_extent_npoints(found.space.id()), path, what));
  found.each = H5Tget_size(found.type.id());
  return found;
}

}  // namespace

// Texts of fixed length (ours) and of variable length (h5py's), any number of them.
std::vector<std::string> File::texts(const std::string& object, const std::string& name) const {
  const Lock lock;
  const std::string what = "read attribute " + name + " of " + object;
  const Attribute found = attribute_of(file_.id(), object, name, path_, what);
  if (!found || found.kind() != H5T_STRING || found.count == 0) return {};
  PL_CHECK(found.fits(bytes_), ExitCode::kInput, "cannot ", what, " in ", path_, " (", found.count, " texts of ",
           found.each, " bytes are more than the file has). The file is damaged.");
  if (H5Tis_variable_str(found.type.id()) <= 0) {
    std::vector<char> bytes(found.each * found.count);
    checked(H5Aread(found.handle.id(), found.type.id(), bytes.data()), path_, what);
    return cut(bytes, found.each);
  }
  std::vector<char*> pointers(found.count);
  checked(H5Aread(found.handle.id(), found.type.id(), pointers.data()), path_, what);
  std::vector<std::string> texts;
  for (const char* text : pointers) texts.emplace_back(text ? text : "");
  H5Dvlen_reclaim(found.type.id(), found.space.id(), H5P_DEFAULT, pointers.data());
  return texts;
}

std::optional<std::string> File::text(const std::string& object, const std::string& name) const {
  std::vector<std::string> all = texts(object, name);
  if (all.size() != 1) return std::nullopt;
  return all[0];
}

std::optional<std::int64_t> File::integer(const std::string& object, const std::string& name) const {
  const Lock lock;
  const std::string what = "read attribute " + name + " of " + object;
  const Attribute found = attribute_of(file_.id(), object, name, path_, what);
  if (!found || found.kind() != H5T_INTEGER || found.count != 1) return std::nullopt;
  std::int64_t value = 0;
  checked(H5Aread(found.handle.id(), H5T_NATIVE_INT64, &value), path_, what);
  return value;
}

std::vector<double> File::numbers(const std::string& object, const std::string& name) const {
  const Lock lock;
  const std::string what = "read attribute " + name + " of " + object;
  const Attribute found = attribute_of(file_.id(), object, name, path_, what);
  if (!found || (found.kind() != H5T_FLOAT && found.kind() != H5T_INTEGER) || !found.fits(bytes_)) return {};
  std::vector<double> values(found.count);
  if (found.count > 0) checked(H5Aread(found.handle.id(), H5T_NATIVE_DOUBLE, values.data()), path_, what);
  return values;
}

bool File::has_attribute(const std::string& object, const std::string& attribute) const {
  const Lock lock;
  return H5Aexists_by_name(file_.id(), object.c_str(), attribute.c_str(), H5P_DEFAULT) > 0;
}

std::string File::referred(const std::string& object, const std::string& name) const {
  const Lock lock;
  const std::string what = "follow attribute " + name + " of " + object;
  const Attribute found = attribute_of(file_.id(), object, name, path_, what);
  if (!found || H5Tequal(found.type.id(), H5T_STD_REF_OBJ) <= 0 || found.count < 1 || !found.fits(bytes_)) return "";
  std::vector<hobj_ref_t> references(found.count);
  checked(H5Aread(found.handle.id(), H5T_STD_REF_OBJ, references.data()), path_, what);
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
  const std::string what = "read attribute " + name + " of " + object;
  const Attribute found = attribute_of(file_.id(), object, name, path_, what);
  if (!found || !plain(found.type.id()) || !found.fits(bytes_)) return std::nullopt;
  std::size_t type_bytes = 0, space_bytes = 0;
  checked(H5Tencode(found.type.id(), nullptr, &type_bytes), path_, what);
  checked(H5Sencode(found.space.id(), nullptr, &space_bytes), path_, what);
  std::string all(type_bytes + space_bytes + found.each * found.count, '\0');
  checked(H5Tencode(found.type.id(), all.data(), &type_bytes), path_, what);
  checked(H5Sencode(found.space.id(), all.data() + type_bytes, &space_bytes), path_, what);
  if (found.count > 0) {
    checked(H5Aread(found.handle.id(), found.type.id(), all.data() + type_bytes + space_bytes), path_, what);
  }
  return all;
}

void File::copy_attributes(const File& from, const std::string& object, const std::string& except) {
  const Lock lock;
  for (const std::string& name : from.attribute_names(object)) {
    if (name == except || has_attribute(object, name)) continue;
    const std::string what = "copy attribute " + name + " of " + object;
    const Attribute source = attribute_of(from.file_.id(), object, name, from.path_, what);
    if (H5Tis_variable_str(source.type.id()) > 0) {  // as h5py writes them
      const std::vector<std::string> texts = from.texts(object, name);
      texts.size() == 1 ? set_text(object, name, texts[0]) : set_texts(object, name, texts);
      continue;
    }
    PL_CHECK(plain(source.type.id()), ExitCode::kInput, "cannot ", what, " in ", from.path_,
             " (it is neither text nor a number). Delete it from the file first.");
    PL_CHECK(source.fits(from.bytes_), ExitCode::kInput, "cannot ", what, " in ", from.path_,
             " (it claims more bytes than the file has). The file is damaged.");
    std::vector<char> bytes(source.count * source.each + 1);
    checked(H5Aread(source.handle.id(), source.type.id(), bytes.data()), from.path_, what);
    write_attribute(object, name, source.type.id(), source.space.id(), bytes.data());
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
