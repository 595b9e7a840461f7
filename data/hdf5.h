// SPDX-License-Identifier: Apache-2.0
// The part of the HDF5 library that we use, as two classes. Every call into the library happens in hdf5.cc, under one
// mutex: the library need not be built thread-safe. Failures are core::Error with the path and the library's own
// reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"

namespace pathline::data::hdf5 {

/// Types in memory; the library converts from whatever number is stored.
enum class Element { kUint8, kInt32, kUint32, kInt64, kUint64, kFloat16, kFloat32, kFloat64 };

/// How one number lies in a file.
struct NumberType {
  enum class Kind { kUnsigned, kSigned, kFloat };
  Kind kind = Kind::kUnsigned;
  std::size_t bytes = 1;
  bool big_endian = false;
};

/// How the rows of a new array are stored: one after the other, or so many in a chunk, deflated (and shuffled, where
/// numbers have several bytes) unless the level is 0.
struct Chunking {
  std::int64_t rows = 0;  // 0: contiguous
  int deflate = 0;        // 0 to 9
};

/// An HDF5 object id and the function that closes it.
class Handle {
 public:
  using Close = int (*)(std::int64_t id);
  Handle() = default;
  Handle(std::int64_t id, Close close) : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept;
  Handle& operator=(Handle&& other) noexcept;
  ~Handle();

  std::int64_t id() const { return id_; }
  /// Closes now; negative if the library failed (a file then lacks data).
  int close();

 private:
  std::int64_t id_ = -1;
  Close close_ = nullptr;
};

/// An array in a file. May outlive the File it came from. Safe to use from any number of threads.
class DataSet {
 public:
  const std::string& name() const { return name_; }  // "/images"
  const std::vector<std::int64_t>& shape() const { return shape_; }
  std::uint64_t elements() const { return elements_; }
  std::size_t element_bytes() const { return element_bytes_; }  // as stored
  bool is_integer() const { return integer_; }
  bool is_float() const { return float_; }
  bool is_text() const { return text_; }  // of fixed length
  /// Stored bit for bit as `element` is in memory.
  bool is(Element element) const;
  /// Empty for what is no number of 1, 2, 4 or 8 whole bytes, in two's complement or IEEE 754 of 4 or 8.
  std::optional<NumberType> number_type() const;
  /// Whether its elements are numbers, texts of fixed length, or names for whole numbers: bytes that mean the same in
  /// another file.
  bool is_plain() const;
  /// Whether both have elements of one type.
  bool same_type(const DataSet& other) const;
  /// For calls into the library, under its lock.
  std::int64_t id() const { return set_.id(); }
  /// Where in the file its bytes lie, in one piece and as they are; empty if only the library can read them.
  std::optional<std::uint64_t> offset() const { return offset_; }
  const std::string& storage() const { return storage_; }  // "contiguous", "chunks of 500x3x64x64, filtered"
  std::string describe() const;                            // "/imgs uint8 50000x3x64x64"

  /// Rows [first, first + rows) of the first axis, converted to `element`.
  void read(std::int64_t first, std::int64_t rows, Element element, std::span<std::byte> out) const;
  /// The same, element by element as they are stored.
  void read_stored(std::int64_t first, std::int64_t rows, std::span<std::byte> out) const;
  std::vector<std::int64_t> read_integers() const;
  std::vector<std::string> read_texts() const;
  /// All of it, of the type it was created with.
  void write(std::span<const std::byte> bytes) const;
  /// The whole chunk that begins with row `first`, as it is to be stored; bit k of `skipped`: filter k was not applied.
  void write_chunk(std::int64_t first, std::uint32_t skipped, std::span<const std::byte> stored) const;

 private:
  friend class File;
  DataSet(std::string path, std::string name, std::int64_t file, std::uint64_t file_bytes);
  void learn_type();
  void learn_storage(std::int64_t file);
  void learn_chunks(std::int64_t file, std::int64_t plan);
  void check_not_cut(const std::string& what) const;
  void read_as(std::int64_t first, std::int64_t rows, std::int64_t type, std::span<std::byte> out) const;

  std::string path_, name_;
  std::uint64_t file_bytes_;  // when it was opened; 0 of a new file
  Handle set_, type_;
  std::vector<std::int64_t> shape_;
  std::uint64_t elements_ = 0;
  bool integer_ = false, float_ = false, text_ = false;
  std::size_t element_bytes_ = 0;
  std::string type_text_, storage_;
  std::optional<std::uint64_t> offset_;
};

class File {
 public:
  /// For reading. What is no HDF5 file, or a truncated one, is ExitCode::kInput.
  static File open(const std::string& path);
  /// Empty, readable by HDF5 1.8 and newer, hence by every h5py; where arrays will be chunked, by 1.10 and newer, since
  /// older indices of chunks have no checksums. All metadata carry checksums.
  static File create(const std::string& path, const Chunking& chunking = {});

  const std::string& path() const { return path_; }
  std::uint64_t bytes() const { return bytes_; }  // of a file opened for reading

  bool has(const std::string& name) const;
  DataSet data_set(const std::string& name) const;
  /// All data sets down to the third level of groups, the first `most`; in order of name.
  std::vector<std::string> data_set_names(std::size_t most) const;
  /// The first thousand.
  std::vector<DataSet> data_sets() const;

  /// Attributes of an object ("/" for the file's own); empty where there is none of that kind.
  std::optional<std::string> text(const std::string& object, const std::string& attribute) const;
  std::optional<std::int64_t> integer(const std::string& object, const std::string& attribute) const;
  std::vector<std::string> texts(const std::string& object, const std::string& attribute) const;
  std::vector<double> numbers(const std::string& object, const std::string& attribute) const;
  bool has_attribute(const std::string& object, const std::string& attribute) const;
  std::vector<std::string> attribute_names(const std::string& object) const;
  /// Type, shape and bytes of a plain attribute (DataSet::is_plain) as one text, equal only for equal ones; empty for
  /// any other.
  std::optional<std::string> attribute_bytes(const std::string& object, const std::string& attribute) const;
  /// The name of the object that the first of an attribute's object references leads to; "" where there is none.
  std::string referred(const std::string& object, const std::string& attribute) const;

  /// Contiguous, its place in the file fixed at once, its bytes whatever the file system gives (zeros); or in chunks,
  /// to be written by DataSet::write_chunk(). Groups on the way are made.
  DataSet create_data_set(const std::string& name, Element element, const std::vector<std::int64_t>& shape,
                          const Chunking& chunking = {});
  /// Of the name, the type and the attributes of `model`, an array of `from`. Throws kInput for attributes that cannot
  /// be copied.
  DataSet create_like(const File& from, const DataSet& model, const std::vector<std::int64_t>& shape,
                      const Chunking& chunking = {});
  /// All attributes of an object but those that are there already, and `except`.
  void copy_attributes(const File& from, const std::string& object, const std::string& except = "");
  void set_text(const std::string& object, const std::string& attribute, const std::string& value);
  void set_texts(const std::string& object, const std::string& attribute, const std::vector<std::string>& values);
  void set_integer(const std::string& object, const std::string& attribute, std::int64_t value);
  void set_numbers(const std::string& object, const std::string& attribute, std::span<const double> values);
  /// Throws ExitCode::kEnvironment if what was written did not get out.
  void close();

 private:
  DataSet create(const std::string& name, std::int64_t type, const std::vector<std::int64_t>& shape,
                 const Chunking& chunking);
  File(std::string path, Handle file) : path_(std::move(path)), file_(std::move(file)) {}
  void write_attribute(const std::string& object, const std::string& attribute, std::int64_t type, std::int64_t space,
                       const void* data);

  std::string path_;
  std::uint64_t bytes_ = 0;
  Handle file_;
};

/// Of the header that this was built with, and of the library that is loaded: "1.10.8". The library ends the process at
/// its first use where they differ.
std::string built_version();
std::string loaded_version();

/// "2x3x4".
std::string shape_text(std::span<const std::int64_t> shape);

}  // namespace pathline::data::hdf5
