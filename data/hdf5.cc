// SPDX-License-Identifier: Apache-2.0
#include "data/hdf5.h"

#include <hdf5.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "data/hdf5_library.h"

namespace pathline::data::hdf5 {

using core::ExitCode;

static_assert(sizeof(hid_t) == sizeof(std::int64_t), "HDF5 1.10 or newer");  // ids are std::int64_t in headers
static_assert(std::endian::native == std::endian::little, "stores are little-endian, as memory");

namespace {

std::recursive_mutex& mutex() {
  // Kept for handles in static objects. At exit the library would crash over a file that a full disk kept from
  // closing.
  static std::recursive_mutex* only = (H5dont_atexit(), new std::recursive_mutex);
  return *only;
}

}  // namespace

Lock::Lock() : lock_(mutex()) { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }  // it would print to stderr

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

void fail(const std::string& path, const std::string& what, ExitCode code) {
  const std::string why = reason();
  const bool newer = why.find("version") != std::string::npos;  // "bad version number for layout message"
  throw core::Error(
      code, core::concat("cannot ", what, " in ", path, " (the HDF5 library ", loaded_version(), " says: ", why, "). ",
                         code != ExitCode::kInput ? "Look for space and permissions there."
                         : newer ? "The file may be of a newer library than this one; write it again with "
                                   "libver=(\"earliest\", \"v110\"), or with h5repack."
                                 : "The file is damaged or of an unknown kind; fetch or import it again."));
}

namespace {

/// IEEE 754 binary16, as h5py writes it; the library has no name for it. Kept, as its own types are.
hid_t half() {
  static const hid_t type = [] {
    const hid_t made = H5Tcopy(H5T_IEEE_F32LE);
    H5Tset_fields(made, 15, 10, 5, 0, 10);
    H5Tset_size(made, 2);
    H5Tset_ebias(made, 15);
    return made;
  }();
  return type;
}

}  // namespace

std::int64_t native(Element element) {
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
    case Element::kFloat16:
      return half();
    case Element::kFloat32:
      return H5T_NATIVE_FLOAT;
    case Element::kFloat64:
      return H5T_NATIVE_DOUBLE;
  }
  PL_ASSERT(false);
  return -1;
}

bool plain(std::int64_t type) {
  const H5T_class_t kind = H5Tget_class(type);
  const bool fixed_text = kind == H5T_STRING && H5Tis_variable_str(type) == 0;
  return kind == H5T_INTEGER || kind == H5T_FLOAT || kind == H5T_ENUM || kind == H5T_BITFIELD || fixed_text;
}

Handle access_properties() {
  Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
#if H5_VERSION_GE(1, 10, 7)
  // Readers need no lock, a file being written has a name of its own, and some network file systems know no locks.
  H5Pset_file_locking(access.id(), false, true);
#endif
  return access;
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
