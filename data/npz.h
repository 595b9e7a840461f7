// SPDX-License-Identifier: Apache-2.0
// NumPy's .npz: a ZIP archive of .npy arrays (numpy.lib.format, versions 1 to 3).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/file_system.h"
#include "data/byte_stream.h"
#include "data/zip.h"

namespace pathline::data {

/// `dtype` is NumPy's kind and size without byte order: "f4", "f8", "i8", "u1", "b1" ...
struct NpyHeader {
  std::string dtype;
  std::vector<std::int64_t> shape;
  bool big_endian = false;
  std::uint64_t begin = 0;  // of the elements, in bytes from the start of the file that the header was read from

  std::uint64_t item_bytes() const;  // of one element
  std::uint64_t bytes() const;       // of all
};

/// In C order, little-endian.
struct NpyArray {
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;

  template <class T>
  std::span<const T> as() const {
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
};

/// Reads the header that a .npy file begins with. Structured types, objects and Fortran order are refused (kInput).
NpyHeader read_npy_header(ByteStream& stream, const std::string& origin);

/// Foreign bytes are met as ZipReader meets them.
class NpzReader {
 public:
  /// `files` must outlive the reader.
  NpzReader(core::FileSystem& files, const std::string& path);

  /// Of all arrays, without ".npy", in file order.
  std::vector<std::string> names() const;
  bool has(const std::string& name) const;
  NpyHeader header(const std::string& name) const;
  /// Throws kInput naming the arrays there are if this one is missing.
  NpyArray read(const std::string& name) const;
  /// Where the elements lie in the file as they are; empty if they are deflated or big-endian.
  std::optional<std::uint64_t> offset(const std::string& name) const;

 private:
  const ZipMember& member(const std::string& name) const;
  std::string origin(const std::string& name) const { return path_ + " (" + name + ")"; }

  std::string path_;
  ZipReader zip_;
};

/// Stored members, written row by row without holding an array in memory. The file appears in finish().
class NpzWriter {
 public:
  NpzWriter(core::FileSystem& files, const std::string& path) : zip_(files, path) {}
  /// Begins an array, whose bytes append() must then give completely.
  void begin(const std::string& name, const std::string& dtype, const std::vector<std::int64_t>& shape);
  void append(std::span<const std::byte> bytes) { zip_.append(bytes); }
  void add(const std::string& name, const NpyArray& array);
  void finish() { zip_.finish(); }

 private:
  ZipWriter zip_;
};

}  // namespace pathline::data
