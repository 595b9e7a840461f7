// SPDX-License-Identifier: Apache-2.0
// Files as other programs write them, made here through the HDF5 library.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hdf5.h>

#include <filesystem>
#include <functional>
#include <thread>

#include "core/error.h"
#include "data/shard_source.h"
#include "tests/data/made_file.h"
#include "tests/support/temporary_directory.h"

namespace pathline::data {
namespace {

using core::ExitCode;
using ::testing::HasSubstr;
using tests::TemporaryDirectory;
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
  MadeFile(directory / "train.h5")
      .bytes("train_set_x", {8, 5, 5, 3})
      .labels("train_set_y", {8})
      .texts("list_classes", {"non-cat", "cat", "dog", "frog"});
  const auto source = open_source({directory / "train.h5"});
  EXPECT_THAT(source->info().class_names, ::testing::ElementsAre("non-cat", "cat", "dog", "frog"));
  EXPECT_EQ(source->info().classes, 4);
  expect_counted(*source, false);
}

TEST(Foreign, FilesWithAUserBlockAndGreyImages) {
  const TemporaryDirectory directory;
  MadeFile(directory / "block.h5", {.user_block = 512}).bytes("images", {5, 7, 5, 3});
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
  EXPECT_EQ(open_source({directory / "labels.h5:/images,none"})->label(1), -1);
  MadeFile(directory / "layout.h5").bytes("images", {4, 3, 5, 3});
  EXPECT_THAT(refusal({directory / "layout.h5"}), HasSubstr("as well as"));
  EXPECT_THAT(refusal({directory / "layout.h5"}), HasSubstr("layout.h5:/images@nchw or @nhwc"));
  expect_counted(*open_source({directory / "layout.h5:/images@nchw"}), true);
  expect_counted(*open_source({directory / "layout.h5:/images@nhwc"}), false);
}

TEST(Foreign, RowsOfNumbersNeedTheShapeThatTheyHave) {
  const TemporaryDirectory directory;
  const std::string path = directory / "rows.h5";
  MadeFile(path).bytes("data", {5, 108}).labels("target", {5});
  EXPECT_THAT(refusal({path}), HasSubstr("6x6x3 or 3x6x6?"));
  EXPECT_THAT(refusal({path}), HasSubstr(path + ":/data@HEIGHTxWIDTH"));
  EXPECT_THAT(refusal({path + ":/data@5x5"}), HasSubstr("25 numbers an image, which 5x5 asks for"));
  const auto planes = open_source({path + ":/data@3x6x6"});
  EXPECT_EQ(planes->info().channels, 3);
  EXPECT_EQ(planes->label(3), 3);
  expect_counted(*planes, true);
  expect_counted(*open_source({path + ":/data@6x6x3"}), false);
  const auto grey = open_source({path + ":/data@9x12"});
  EXPECT_EQ(grey->info().height, 9);
  expect_counted(*grey, false);
  for (const char* wrong : {"@0x4", "@28", "@axb", "@4x4x4x4", "@9999999x2", "@"}) {
    EXPECT_THROW(open_source({path + ":/data" + wrong}), core::Error) << wrong;
  }
}

TEST(Foreign, FacesInSeveralSizesAreRefusedUntilOneIsChosen) {  // as ProGAN's CelebA-HQ file
  const TemporaryDirectory directory;
  MadeFile file(directory / "faces.h5");
  for (const hsize_t size : {2, 4, 8}) file.bytes(core::concat("data", size, "x", size).c_str(), {3, 3, size, size});
  EXPECT_THAT(refusal({directory / "faces.h5"}), HasSubstr("/data2x2 uint8 3x3x2x2; /data4x4 uint8 3x3x4x4"));
  expect_counted(*open_source({directory / "faces.h5:/data8x8"}), true);
}

TEST(Foreign, AttributesOfFacesAreNotTakenForClasses) {
  const TemporaryDirectory directory;
  MadeFile(directory / "a.h5")
      .bytes("images", {4, 5, 5, 3})
      .labels("labels", {4, 40})
      .texts("label_names", {"bald", "young"});
  const auto source = open_source({directory / "a.h5"});
  EXPECT_EQ(source->info().classes, 0);
  EXPECT_TRUE(source->info().class_names.empty());
  EXPECT_THAT(source->info().description, HasSubstr("no labels (/labels int32 4x40 is not one class a sample)"));
}

TEST(Foreign, ClassesAsFloatingPointNumbersMustBeWhole) {
  const TemporaryDirectory directory;
  std::vector<double> values = {2, 0, 1, 2};
  MadeFile(directory / "a.h5").bytes("images", {4, 5, 5, 3}).add("target", H5T_NATIVE_DOUBLE, {4}, values);
  EXPECT_EQ(open_source({directory / "a.h5"})->label(3), 2);
  values[2] = 0.5;
  MadeFile(directory / "a.h5").bytes("images", {4, 5, 5, 3}).add("target", H5T_NATIVE_DOUBLE, {4}, values);
  EXPECT_THAT(refusal({directory / "a.h5"}), HasSubstr("sample 2 of"));
  EXPECT_THAT(refusal({directory / "a.h5"}), HasSubstr("a.h5:/images,none"));
}

/// A known layout in miniature: how it is made, and whether its channels come first.
struct Known {
  const char* name;
  std::function<void(const std::string& path, const Making&)> make;
  std::string selection = "";
  bool channels_first = false, labelled = true;
};

std::vector<Known> known_layouts() {
  return {{"BigGAN",
           [](const auto& path, const Making& how) {
             MadeFile(path, how).bytes("imgs", {7, 3, 6, 5}).labels("labels", {7});
           },
           "", true},
          {"PCAM", [](const auto& path,
                      const Making& how) { MadeFile(path, how).bytes("x", {7, 6, 5, 3}).labels("y", {7, 1, 1, 1}); }},
          {"PCAM in two files",
           [](const auto& path, const Making& how) {
             MadeFile(path, how).bytes("x", {7, 6, 5, 3});
             std::string labels = path;
             labels.replace(labels.rfind("_x"), 2, "_y");
             MadeFile(labels, how).labels("y", {7, 1, 1, 1});
           }},
          {"3dshapes",
           [](const auto& path, const Making& how) {
             MadeFile(path, how)
                 .bytes("images", {7, 6, 5, 3})
                 .add("labels", H5T_NATIVE_DOUBLE, {7, 6}, counted<double>({7, 6}));
           },
           "", false, false},
          {"Fuel",
           [](const auto& path, const Making& how) {
             MadeFile(path, how).bytes("features", {7, 3, 6, 5}).labels("targets", {7, 1});
           },
           "", true},
          {"rows of floats",
           [](const auto& path, const Making& how) {
             MadeFile(path, how).add("data", H5T_NATIVE_FLOAT, {7, 30}, counted<float>({7, 30})).labels("target", {7});
           },
           ":/data@6x5@0..255"},
          {"course",
           [](const auto& path, const Making& how) {
             MadeFile(path, how)
                 .bytes("train_set_x", {7, 6, 5, 3})
                 .labels("train_set_y", {7})
                 .texts("list_classes", {"a", "b", "c", "d"});
           }},
          {"faces", [](const auto& path, const Making& how) { MadeFile(path, how).bytes("data8x5", {7, 3, 8, 5}); }, "",
           true, false}};
}

TEST(Foreign, EveryKnownLayoutIsReadHoweverItIsStored) {
  const TemporaryDirectory directory;
  const std::string path = directory / "set_x.h5";
  for (const Known& known : known_layouts()) {
    for (const H5F_libver_t low : {H5F_LIBVER_EARLIEST, H5F_LIBVER_V18, H5F_LIBVER_V110}) {
      for (const hsize_t user_block : {0, 512}) {
        for (const hsize_t rows : {0, 1, 3}) {
          for (const bool filters : {false, true}) {
            for (const bool big_endian : {false, true}) {
              if (filters && rows == 0) continue;
              SCOPED_TRACE(core::concat(known.name, ", from version ", low, ", user block ", user_block, ", ", rows,
                                        " rows a chunk", filters ? ", filters" : "", big_endian ? ", big-endian" : ""));
              std::filesystem::remove(directory / "set_y.h5");
              known.make(path, {low, user_block, rows, filters, big_endian});
              const auto source = open_source({path + known.selection});
              ASSERT_EQ(source->info().count, 7);
              expect_counted(*source, known.channels_first);
              for (int i = 0; i < 7; ++i) ASSERT_EQ(source->label(i), known.labelled ? i % 4 : -1);
            }
          }
        }
      }
    }
  }
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
