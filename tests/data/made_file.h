// SPDX-License-Identifier: Apache-2.0
// HDF5 files as other programs write them, made through the library's own interface.
#pragma once

#include <gtest/gtest.h>
#include <hdf5.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "data/shard_source.h"

namespace pathline::data {

using Shape = std::vector<hsize_t>;

inline std::size_t product(const Shape& shape) {
  return std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>());
}

/// Value i of every made array: i modulo 251.
template <class Value>
std::vector<Value> counted(const Shape& shape) {
  std::vector<Value> values(product(shape));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<Value>(i % 251);
  return values;
}

/// How a library may store the same arrays.
struct Making {
  H5F_libver_t low = H5F_LIBVER_EARLIEST;
  hsize_t user_block = 0;
  hsize_t rows_a_chunk = 0;  // 0: contiguous
  bool filters = false;      // shuffle, deflate, fletcher32
  bool big_endian = false;
};

/// A file that grows by data sets.
class MadeFile {
 public:
  explicit MadeFile(std::string path, Making making = {}) : path_(std::move(path)), making_(making) {
    const hid_t plan = H5Pcreate(H5P_FILE_CREATE), access = bounds();
    H5Pset_userblock(plan, making.user_block);
    const hid_t file = H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, plan, access);
    H5Pclose(plan), H5Pclose(access), H5Fclose(file);
  }

  template <class Value>
  MadeFile& add(const char* name, hid_t type, const Shape& shape, const std::vector<Value>& values, Shape chunk = {},
                int deflate = 0, hid_t stored = H5I_INVALID_HID) {
    const hid_t file = open();
    const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
    const hid_t plan = H5Pcreate(H5P_DATASET_CREATE), links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    if (chunk.empty() && making_.rows_a_chunk > 0) {
      chunk = shape;
      chunk[0] = std::min(chunk[0], making_.rows_a_chunk);
    }
    if (!chunk.empty()) H5Pset_chunk(plan, static_cast<int>(chunk.size()), chunk.data());
    if (deflate > 0) H5Pset_deflate(plan, static_cast<unsigned>(deflate));
    if (making_.filters) H5Pset_shuffle(plan), H5Pset_deflate(plan, 4), H5Pset_fletcher32(plan);
    const hid_t as = H5Tcopy(stored < 0 ? type : stored);
    if (making_.big_endian && H5Tget_class(as) != H5T_STRING) H5Tset_order(as, H5T_ORDER_BE);
    const hid_t set = H5Dcreate2(file, name, as, space, links, plan, H5P_DEFAULT);
    EXPECT_GE(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0) << name;
    H5Dclose(set), H5Tclose(as), H5Pclose(links), H5Pclose(plan), H5Sclose(space), H5Fclose(file);
    return *this;
  }
  MadeFile& bytes(const char* name, const Shape& shape, Shape chunk = {}, int deflate = 0) {
    return add(name, H5T_NATIVE_UINT8, shape, counted<std::uint8_t>(shape), std::move(chunk), deflate);
  }
  /// i modulo 4.
  MadeFile& labels(const char* name, const Shape& shape) {
    std::vector<std::int32_t> values(product(shape));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::int32_t>(i % 4);
    return add(name, H5T_NATIVE_INT32, shape, values);
  }
  /// Texts of fixed length, as an array.
  MadeFile& texts(const char* name, const std::vector<std::string>& values) {
    std::size_t longest = 1;
    for (const std::string& value : values) longest = std::max(longest, value.size());
    std::string bytes;
    for (std::string value : values) value.resize(longest), bytes += value;
    const hid_t text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, longest);
    add(name, text, {values.size()}, std::vector<char>(bytes.begin(), bytes.end()));
    H5Tclose(text);
    return *this;
  }
  /// An attribute, in the three ways in which libraries write texts: 0 one of fixed length, 1 an array of one, padded
  /// with blanks, 2 one of variable length.
  MadeFile& attribute(const char* object, const char* name, const std::string& value, int kind = 0) {
    const hid_t text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, kind == 2 ? H5T_VARIABLE : value.size() + static_cast<std::size_t>(3 * kind));
    if (kind == 1) H5Tset_strpad(text, H5T_STR_SPACEPAD);
    const std::string padded = value + "   ";
    const char* pointer = value.c_str();
    return attribute(object, name, text, kind == 1 ? 1 : 0,
                     kind == 2 ? static_cast<const void*>(&pointer) : padded.data());
  }
  /// The attribute PALETTE of `object`: a reference to `palette`.
  MadeFile& refer(const char* object, const char* palette) {
    const hid_t file = open();
    hobj_ref_t reference{};
    EXPECT_GE(H5Rcreate(&reference, file, palette, H5R_OBJECT, -1), 0);
    H5Fclose(file);
    return attribute(object, "PALETTE", H5Tcopy(H5T_STD_REF_OBJ), 1, &reference);
  }

 private:
  hid_t bounds() const {
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(access, making_.low, H5F_LIBVER_LATEST);
    return access;
  }
  hid_t open() const {
    const hid_t access = bounds();
    const hid_t file = H5Fopen(path_.c_str(), H5F_ACC_RDWR, access);
    H5Pclose(access);
    return file;
  }
  /// Takes the type; `count` 0: a scalar.
  MadeFile& attribute(const char* object, const char* name, hid_t type, hsize_t count, const void* value) {
    const hid_t file = open();
    const hid_t space = count == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &count, nullptr);
    const hid_t made = H5Acreate_by_name(file, object, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    EXPECT_GE(H5Awrite(made, type, value), 0) << name;
    H5Aclose(made), H5Sclose(space), H5Tclose(type), H5Fclose(file);
    return *this;
  }

  std::string path_;
  Making making_;
};

inline std::vector<int> item(const ShardSource& source, std::int64_t index) {
  std::vector<std::byte> bytes(source.info().item_bytes());
  source.read(index, bytes);
  std::vector<int> values;
  for (const std::byte byte : bytes) values.push_back(static_cast<int>(byte));
  return values;
}

/// What an array of counted values holds at (n, y, x, c), stored as HWC or CHW.
inline void expect_counted(const ShardSource& source, bool channels_first) {
  const SetInfo& info = source.info();
  for (std::int64_t n = 0; n < info.count; ++n) {
    const std::vector<int> values = item(source, n);
    for (std::int64_t y = 0, i = 0; y < info.height; ++y) {
      for (std::int64_t x = 0; x < info.width; ++x) {
        for (std::int64_t c = 0; c < info.channels; ++c, ++i) {
          const std::int64_t place = channels_first ? ((n * info.channels + c) * info.height + y) * info.width + x
                                                    : ((n * info.height + y) * info.width + x) * info.channels + c;
          ASSERT_EQ(values[static_cast<std::size_t>(i)], place % 251);
        }
      }
    }
  }
}

}  // namespace pathline::data
