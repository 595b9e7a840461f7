// SPDX-License-Identifier: Apache-2.0
// Pictures as the HDF5 Image and Palette Specification stores them, one data set each.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "core/error.h"
#include "core/file_system.h"
#include "data/import_plan.h"
#include "tests/data/made_file.h"
#include "tests/support/temporary_directory.h"

namespace pathline::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using tests::TemporaryDirectory;

constexpr hsize_t kHeight = 4, kWidth = 5;

/// Level of a picture at (y, x, c).
std::uint8_t level(std::int64_t y, std::int64_t x, std::int64_t c) {
  return static_cast<std::uint8_t>(40 * y + 7 * x + 80 * c);
}

Image expected(std::int64_t channels) {
  Image image(kHeight, kWidth, channels);
  for (std::int64_t y = 0; y < image.height; ++y) {
    for (std::int64_t x = 0; x < image.width; ++x) {
      for (std::int64_t c = 0; c < channels; ++c) image.at(y, x, c) = level(y, x, c);
    }
  }
  return image;
}

/// A picture of three colours whose axes are stored in this order ("yxc", "cyx", "ycx").
void add_colours(MadeFile& file, const char* name, const std::string& axes, const char* interlace, int kind) {
  const auto size = [](char axis) { return axis == 'y' ? kHeight : axis == 'x' ? kWidth : 3; };
  const Shape shape = {size(axes[0]), size(axes[1]), size(axes[2])};
  std::vector<std::uint8_t> values;
  std::array<std::int64_t, 3> at{};
  const auto along = [&](char axis) { return at.at(axes.find(axis)); };
  for (at[0] = 0; at[0] < static_cast<std::int64_t>(shape[0]); ++at[0]) {
    for (at[1] = 0; at[1] < static_cast<std::int64_t>(shape[1]); ++at[1]) {
      for (at[2] = 0; at[2] < static_cast<std::int64_t>(shape[2]); ++at[2]) {
        values.push_back(level(along('y'), along('x'), along('c')));
      }
    }
  }
  file.add(name, H5T_NATIVE_UINT8, shape, values)
      .attribute(name, "CLASS", "IMAGE", kind)
      .attribute(name, "IMAGE_SUBCLASS", "IMAGE_TRUECOLOR", kind)
      .attribute(name, "INTERLACE_MODE", interlace, kind);
}

std::vector<std::uint8_t> grey_levels() { return expected(1).pixels; }

/// Red, green and blue of colour `i`, for the first `colours` of them.
std::vector<std::uint8_t> palette(std::size_t colours) {
  std::vector<std::uint8_t> values;
  for (std::size_t i = 0; i < colours; ++i) {
    for (const std::size_t value : {255 - i, i, i / 2}) values.push_back(static_cast<std::uint8_t>(value));
  }
  return values;
}

class Hdf5Pictures : public ::testing::Test {
 protected:
  std::unique_ptr<PictureSource> open(const std::string& under = "", const std::string& selection = "") {
    return open_pictures(files_, path_ + selection, under);
  }
  Imported import(const PictureSource& source, const ImportOptions& options) const {
    const ImportPlan plan = plan_import(source, options, {.path = directory_ / "store.h5"});
    return import_pictures(source, options, plan, [](std::int64_t) {});
  }
  std::string refusal(const std::function<void()>& body) {
    try {
      body();
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kInput);
      EXPECT_THAT(error.what(), HasSubstr(path_));
      return error.what();
    }
    return "accepted";
  }

  const TemporaryDirectory directory_;
  const std::string path_ = directory_ / "pictures.h5";
  core::PosixFileSystem files_;
};

TEST_F(Hdf5Pictures, OfEveryInterlaceModeAndStorageAreTheSamePicture) {
  for (const Making& how : {Making{}, Making{H5F_LIBVER_V110, 512, 2, true, true}}) {
    for (const int kind : {0, 1, 2}) {  // of texts
      MadeFile file(path_, how);
      add_colours(file, "pictures/by pixel", "yxc", "INTERLACE_PIXEL", kind);
      add_colours(file, "pictures/by plane", "cyx", "INTERLACE_PLANE", kind);
      add_colours(file, "pictures/by row", "ycx", "INTERLACE_LINE", kind);
      const auto source = open();
      ASSERT_EQ(source->count(), 3);
      EXPECT_EQ(source->classes(), 0);
      for (int i = 0; i < 3; ++i) EXPECT_EQ(source->picture(i), expected(3)) << i << " " << kind;
    }
  }
}

TEST_F(Hdf5Pictures, IndicesAreLookedUpAndGreyIsKept) {
  MadeFile file(path_);
  file.add("map", H5T_NATIVE_UINT8, {256, 3}, palette(256)).attribute("map", "CLASS", "PALETTE");
  file.add("a", H5T_NATIVE_UINT8, {kHeight, kWidth}, grey_levels())
      .attribute("a", "CLASS", "IMAGE")
      .attribute("a", "IMAGE_SUBCLASS", "IMAGE_INDEXED")
      .refer("a", "map");
  file.add("b", H5T_NATIVE_UINT8, {kHeight, kWidth}, grey_levels())
      .attribute("b", "CLASS", "IMAGE")
      .attribute("b", "IMAGE_SUBCLASS", "IMAGE_GRAYSCALE");
  const auto source = open();
  ASSERT_EQ(source->count(), 2);
  const Image indexed = source->picture(0);
  for (std::int64_t y = 0; y < indexed.height; ++y) {
    for (std::int64_t x = 0; x < indexed.width; ++x) {
      const int index = level(y, x, 0);
      EXPECT_EQ(indexed.at(y, x, 0), 255 - index);
      EXPECT_EQ(indexed.at(y, x, 1), index);
      EXPECT_EQ(indexed.at(y, x, 2), index / 2);
    }
  }
  EXPECT_EQ(source->picture(1), expected(1));
}

TEST_F(Hdf5Pictures, WhatIsNotOnePictureIsNamedAndCanBeLeftOut) {
  MadeFile file(path_);
  add_colours(file, "good", "yxc", "INTERLACE_PIXEL", 0);
  file.add("map", H5T_NATIVE_UINT8, {30, 3}, palette(30));
  file.add("short map", H5T_NATIVE_UINT8, {kHeight, kWidth}, grey_levels())
      .attribute("short map", "CLASS", "IMAGE")
      .attribute("short map", "IMAGE_SUBCLASS", "IMAGE_INDEXED")
      .refer("short map", "map");
  file.bytes("stack", {3, kHeight, kWidth}).attribute("stack", "CLASS", "IMAGE");
  const auto source = open();
  ASSERT_EQ(source->count(), 3);
  EXPECT_THAT(refusal([&] { source->picture(1); }), HasSubstr("its palette 30 of them"));
  EXPECT_THAT(refusal([&] { source->picture(2); }), HasSubstr("no IMAGE_SUBCLASS"));
  EXPECT_THROW(import(*source, {}), core::Error);
  const Imported done = import(*source, {.skip_bad = true});
  EXPECT_EQ(done.count, 1);
  EXPECT_THAT(done.problems, ElementsAre(HasSubstr("/short map"), HasSubstr("/stack")));
  EXPECT_EQ(open("", ":/stack")->count(), 3);  // alone it is an array of pictures
}

TEST_F(Hdf5Pictures, GroupsAreClassesAndCanBeChosen) {
  MadeFile file(path_);
  add_colours(file, "cats/1", "yxc", "INTERLACE_PIXEL", 0);
  add_colours(file, "dogs/1", "yxc", "INTERLACE_PIXEL", 0);
  add_colours(file, "dogs/2", "cyx", "INTERLACE_PLANE", 0);
  const auto source = open();
  EXPECT_THAT(source->class_names(), ElementsAre("cats", "dogs"));
  EXPECT_EQ(source->label(2), 1);
  const auto dogs = open("dogs");
  EXPECT_EQ(dogs->count(), 2);
  EXPECT_EQ(dogs->classes(), 0);
  EXPECT_THROW(open("birds"), core::Error);
}

TEST_F(Hdf5Pictures, OfDifferentSizesAskForOne) {
  MadeFile file(path_);
  add_colours(file, "a", "yxc", "INTERLACE_PIXEL", 0);
  file.bytes("b", {9, 9}).attribute("b", "CLASS", "IMAGE").attribute("b", "IMAGE_SUBCLASS", "IMAGE_GRAYSCALE");
  const auto source = open();
  try {
    import(*source, {});
    FAIL() << "pictures of two sizes made a store";
  } catch (const core::Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("--size N"));
  }
  EXPECT_EQ(import(*source, {.size = 4}).count, 2);
}

TEST_F(Hdf5Pictures, CannotBeTrainedOnBeforeTheyAreImported) {
  MadeFile file(path_);
  add_colours(file, "a", "yxc", "INTERLACE_PIXEL", 0);
  EXPECT_THAT(refusal([&] { open_source({path_}); }), HasSubstr("pathline data import"));
}

}  // namespace
}  // namespace pathline::data
