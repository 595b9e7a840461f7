// SPDX-License-Identifier: Apache-2.0
// Files as other programs write them, made here through the HDF5 library.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hdf5.h>

#include <functional>
#include <numeric>
#include <thread>

#include "core/error.h"
#include "data/shard_source.h"
#include "tests/support/temporary_directory.h"

namespace pathline::data {
namespace {

using core::ExitCode;
using ::testing::HasSubstr;
using tests::TemporaryDirectory;
using Shape = std::vector<hsize_t>;

std::size_t product(const Shape& shape) {
  return std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>());
}

/// Value i of every made array: i modulo 251.
template <class Value>
std::vector<Value> counted(const Shape& shape) {
  std::vector<Value> values(product(shape));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<Value>(i % 251);
  return values;
}

/// A file that grows by data sets.
class MadeFile {
 public:
  explicit MadeFile(std::string path, hsize_t user_block = 0) : path_(std::move(path)) {
    const hid_t plan = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_userblock(plan, user_block);
    const hid_t file = H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, plan, H5P_DEFAULT);
    H5Pclose(plan), H5Fclose(file);
  }

  template <class Value>
  MadeFile& add(const char* name, hid_t type, const Shape& shape, const std::vector<Value>& values, Shape chunk = {},
                int deflate = 0, hid_t stored = H5I_INVALID_HID) {
    const hid_t file = H5Fopen(path_.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
    const hid_t plan = H5Pcreate(H5P_DATASET_CREATE);
    if (!chunk.empty()) H5Pset_chunk(plan, static_cast<int>(chunk.size()), chunk.data());
    if (deflate > 0) H5Pset_deflate(plan, static_cast<unsigned>(deflate));
    const hid_t set = H5Dcreate2(file, name, stored < 0 ? type : stored, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    EXPECT_GE(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
    H5Dclose(set), H5Pclose(plan), H5Sclose(space), H5Fclose(file);
    return *this;
  }
  MadeFile& bytes(const char* name, const Shape& shape, Shape chunk = {}, int deflate = 0) {
    return add(name, H5T_NATIVE_UINT8, shape, counted<std::uint8_t>(shape), std::move(chunk), deflate);
  }
  MadeFile& labels(const char* name, const Shape& shape) {
    std::vector<std::int32_t> values(product(shape));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::int32_t>(i % 4);
    return add(name, H5T_NATIVE_INT32, shape, values);
  }

 private:
  std::string path_;
};

std::vector<int> item(const ShardSource& source, std::int64_t index) {
  std::vector<std::byte> bytes(source.info().item_bytes());
  source.read(index, bytes);
  std::vector<int> values;
  for (const std::byte byte : bytes) values.push_back(static_cast<int>(byte));
  return values;
}

/// What an array of counted values holds at (n, y, x, c), stored as HWC or CHW.
void expect_counted(const ShardSource& source, bool channels_first) {
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

std::string refusal(const std::vector<std::string>& paths) {
  try {
    open_source(paths);
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kInput);
    return error.what();
  }
  return "opened";
}

TEST(Foreign, BigGanFilesAreReadAsChannelsLast) {
  const TemporaryDirectory directory;
  const Shape shape = {9, 3, 4, 5};
  MadeFile(directory / "raw.h5").bytes("imgs", shape).labels("labels", {9});
  MadeFile(directory / "chunked.h5").bytes("imgs", shape, {2, 3, 4, 5}).labels("labels", {9});
  MadeFile(directory / "packed.h5").bytes("imgs", shape, {4, 3, 4, 5}, 1).labels("labels", {9});
  for (const char* name : {"raw.h5", "chunked.h5", "packed.h5"}) {
    const auto source = open_source({directory / name});
    EXPECT_EQ(source->info().count, 9);
    EXPECT_EQ(source->info().height, 4);
    EXPECT_EQ(source->info().width, 5);
    EXPECT_EQ(source->info().channels, 3);
    EXPECT_EQ(source->info().classes, 4);
    EXPECT_EQ(source->info().digest, "");
    EXPECT_EQ(source->label(6), 2);
    EXPECT_EQ(source->stored_crc(6), std::nullopt);
    EXPECT_THAT(source->info().description, HasSubstr("/imgs uint8 9x3x4x5 as 9 images of 4x5x3 (NCHW)"));
    expect_counted(*source, true);
  }
  EXPECT_THAT(open_source({directory / "raw.h5"})->info().description, HasSubstr("contiguous, read directly"));
  EXPECT_THAT(open_source({directory / "packed.h5"})->info().description,
              HasSubstr("chunks of 4x3x4x5, filtered, read directly, 4 items at a time"));
}

TEST(Foreign, ThreadsMayReadAtOnce) {
  const TemporaryDirectory directory;
  MadeFile(directory / "packed.h5").bytes("imgs", {40, 3, 8, 8}, {8, 3, 8, 8}, 1);
  MadeFile(directory / "other.h5").bytes("images", {40, 8, 8, 3}, {1, 8, 8, 3}, 1);
  const auto first = open_source({directory / "packed.h5"});
  const auto second = open_source({directory / "other.h5"});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) threads.emplace_back([&, t] { expect_counted(t % 2 ? *first : *second, t % 2); });
  for (std::thread& thread : threads) thread.join();
}

TEST(Foreign, PcamInOneFileAndInTwo) {
  const TemporaryDirectory directory;
  MadeFile(directory / "both.h5").bytes("x", {6, 5, 5, 3}).labels("y", {6, 1, 1, 1});
  MadeFile(directory / "valid_x.h5").bytes("x", {6, 5, 5, 3});
  MadeFile(directory / "valid_y.h5").labels("y", {6, 1, 1, 1});
  for (const std::vector<std::string>& paths :
       {std::vector{directory / "both.h5"}, {directory / "valid_x.h5"}, {directory / "valid_*.h5"}}) {
    const auto source = open_source(paths);
    EXPECT_EQ(source->info().count, 6);
    EXPECT_EQ(source->label(5), 1);
    expect_counted(*source, false);
  }
  EXPECT_THAT(open_source({directory / "valid_x.h5"})->info().description, HasSubstr("of valid_y.h5"));
}

TEST(Foreign, CourseFilesWithTheirClassNames) {
  const TemporaryDirectory directory;
  MadeFile file(directory / "train.h5");
  file.bytes("train_set_x", {8, 5, 5, 3}).labels("train_set_y", {8});
  const hid_t text = H5Tcopy(H5T_C_S1);
  H5Tset_size(text, 7);
  file.add("list_classes", text, {4},
           std::vector<char>{'n', 'o', 'n', '-', 'c', 'a', 't', 'c', 'a', 't', 0,   0, 0, 0,
                             'd', 'o', 'g', 0,   0,   0,   0,   'f', 'r', 'o', 'g', 0, 0, 0});
  H5Tclose(text);
  const auto source = open_source({directory / "train.h5"});
  EXPECT_THAT(source->info().class_names, ::testing::ElementsAre("non-cat", "cat", "dog", "frog"));
  EXPECT_EQ(source->info().classes, 4);
  expect_counted(*source, false);
}

TEST(Foreign, FilesWithAUserBlockAndGreyImages) {
  const TemporaryDirectory directory;
  MadeFile(directory / "block.h5", 512).bytes("images", {5, 7, 5, 3});
  expect_counted(*open_source({directory / "block.h5"}), false);
  MadeFile(directory / "grey.h5").bytes("images", {5, 6, 7});
  const auto grey = open_source({directory / "grey.h5"});
  EXPECT_EQ(grey->info().channels, 1);
  expect_counted(*grey, false);
}

TEST(Foreign, LabelsOfEveryIntegerTypeAreUnderstood) {
  const TemporaryDirectory directory;
  const std::vector<std::int32_t> values = {3, 0, 7, 1};
  for (const hid_t type : {H5T_STD_I8LE, H5T_STD_U8BE, H5T_STD_I16BE, H5T_STD_U32LE, H5T_STD_I64BE, H5T_STD_U64LE}) {
    MadeFile(directory / "a.h5")
        .bytes("images", {4, 5, 5, 3})
        .add("labels", H5T_NATIVE_INT32, {4}, values, {}, 0, type);
    const auto source = open_source({directory / "a.h5"});
    EXPECT_EQ(source->info().classes, 8);
    for (std::int64_t i = 0; i < 4; ++i) EXPECT_EQ(source->label(i), values[static_cast<std::size_t>(i)]);
  }
}

TEST(Foreign, WidePixelsMustBeBytes) {
  const TemporaryDirectory directory;
  const Shape shape = {2, 5, 5, 3};
  std::vector<std::int32_t> values = counted<std::int32_t>(shape);
  MadeFile(directory / "a.h5").add("images", H5T_NATIVE_INT32, shape, values);
  expect_counted(*open_source({directory / "a.h5"}), false);
  values[80] = 256;
  MadeFile(directory / "a.h5").add("images", H5T_NATIVE_INT32, shape, values);
  const auto source = open_source({directory / "a.h5"});
  item(*source, 0);
  EXPECT_THROW(item(*source, 1), core::Error);
}

TEST(Foreign, FloatingPointPixelsAreRefusedWithWhatWasFound) {
  const TemporaryDirectory directory;
  const Shape shape = {2, 5, 5, 3};
  MadeFile(directory / "a.h5").add("images", H5T_NATIVE_FLOAT, shape, counted<float>(shape));
  EXPECT_THAT(refusal({directory / "a.h5"}), HasSubstr("/images float32 2x5x5x3"));
  EXPECT_THAT(refusal({directory / "a.h5"}), HasSubstr("a.h5:/images@0..1"));
}

TEST(Foreign, FactorsAreNotTakenForClasses) {
  const TemporaryDirectory directory;
  MadeFile(directory / "3d.h5")
      .bytes("images", {4, 5, 5, 3})
      .add("labels", H5T_NATIVE_DOUBLE, {4, 6}, counted<double>({4, 6}));
  const auto source = open_source({directory / "3d.h5"});
  EXPECT_EQ(source->info().classes, 0);
  EXPECT_EQ(source->label(0), -1);
  EXPECT_THAT(source->info().description, HasSubstr("no labels (/labels float64 4x6 is not one class a sample)"));
}

TEST(Foreign, WhatCanBeReadInTwoWaysIsRefusedUntilOneIsChosen) {
  const TemporaryDirectory directory;
  MadeFile(directory / "two.h5")
      .bytes("train_set_x", {4, 5, 5, 3})
      .bytes("test_set_x", {3, 5, 5, 3})
      .labels("train_set_y", {4})
      .labels("test_set_y", {3});
  EXPECT_THAT(refusal({directory / "two.h5"}), HasSubstr("/test_set_x uint8 3x5x5x3"));
  EXPECT_THAT(refusal({directory / "two.h5"}), HasSubstr("/train_set_x uint8 4x5x5x3"));
  EXPECT_EQ(open_source({directory / "two.h5:/test_set_x"})->info().count, 3);
  MadeFile(directory / "labels.h5").bytes("images", {4, 5, 5, 3}).labels("labels", {4}).labels("targets", {4});
  EXPECT_THAT(refusal({directory / "labels.h5"}), HasSubstr("may be the labels"));
  EXPECT_EQ(open_source({directory / "labels.h5:/images,/targets"})->label(1), 1);
  EXPECT_THAT(refusal({directory / "labels.h5:/images,/nothing"}), HasSubstr("no data set /nothing"));
  MadeFile(directory / "layout.h5").bytes("images", {4, 3, 5, 3});
  EXPECT_THAT(refusal({directory / "layout.h5"}), HasSubstr("as well as"));
}

TEST(Foreign, FilesWithoutImagesSayWhatTheyHold) {
  const TemporaryDirectory directory;
  MadeFile(directory / "a.h5").labels("labels", {4}).add("table", H5T_NATIVE_DOUBLE, {4, 6}, counted<double>({4, 6}));
  EXPECT_THAT(refusal({directory / "a.h5"}), HasSubstr("/labels int32 4; /table float64 4x6"));
  MadeFile(directory / "nothing.h5");
  EXPECT_THAT(refusal({directory / "nothing.h5"}), HasSubstr("nothing"));
}

}  // namespace
}  // namespace pathline::data
