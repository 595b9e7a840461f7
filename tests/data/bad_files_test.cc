// SPDX-License-Identifier: Apache-2.0
// What is wrong with files in practice: every case is exit code 3 and names the file, and the place where there is one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "core/error.h"
#include "core/file_system.h"
#include "data/import.h"
#include "data/loader.h"
#include "data/verify.h"
#include "tests/data/made_file.h"
#include "tests/support/temporary_directory.h"

namespace pathline::data {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using tests::TemporaryDirectory;

class BadFile : public ::testing::Test {
 protected:
  /// The paragraph of a failure with exit code 3, which names the file.
  std::string refusal(const std::function<void()>& body) {
    try {
      body();
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kInput) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(path_));
      return error.what();
    }
    return "accepted";
  }
  std::string refusal_to_open(const std::string& selection = "") {
    return refusal([&] { open_source({path_ + selection}); });
  }
  static void read_all(const ShardSource& source) {
    std::vector<std::byte> item(source.info().item_bytes());
    for (std::int64_t i = 0; i < source.info().count; ++i) source.read(i, item);
  }

  const TemporaryDirectory directory_;
  const std::string path_ = directory_ / "bad.h5";
};

TEST_F(BadFile, OfNoBytesOrOfAnotherKind) {
  core::PosixFileSystem files;
  for (const std::string& bytes : {std::string(), std::string("x"), std::string("not HDF5 at all"),
                                   std::string("\x89HDF\r\n\x1a"), std::string(5000, '\0')}) {
    std::ofstream(path_, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    EXPECT_THAT(refusal_to_open(), HasSubstr(core::concat(bytes.size(), " bytes"))) << bytes;
    EXPECT_THAT(refusal([&] { open_pictures(files, path_, ""); }), HasSubstr("not recognised")) << bytes;
  }
  std::filesystem::remove(path_);
  EXPECT_THAT(refusal_to_open(), HasSubstr("No such file"));
  EXPECT_THAT(refusal([&] { open_pictures(files, path_, ""); }), HasSubstr("does not exist"));
}

TEST_F(BadFile, CutSomewhereInEveryStorage) {
  for (const Making& how : {Making{}, Making{H5F_LIBVER_EARLIEST, 0, 2}, Making{H5F_LIBVER_V110, 512, 2, true}}) {
    MadeFile(path_, how).bytes("images", {6, 8, 8, 3}).labels("labels", {6});
    const auto whole = std::filesystem::file_size(path_);
    for (std::uintmax_t bytes = 0; bytes < whole; bytes += 97) {
      MadeFile(path_, how).bytes("images", {6, 8, 8, 3}).labels("labels", {6});
      std::filesystem::resize_file(path_, bytes);
      EXPECT_THAT(refusal_to_open(), HasSubstr(core::concat(bytes, " bytes")));
    }
  }
}

TEST_F(BadFile, WithLabelsForOtherImages) {
  MadeFile(path_).bytes("images", {6, 8, 8, 3}).labels("labels", {5});
  EXPECT_THAT(refusal_to_open(), AllOf(HasSubstr("5 labels in /labels int32 5 for the 6 images in /images"),
                                       HasSubstr(path_ + ":/images,none")));
  EXPECT_THAT(refusal_to_open(":/images,/labels"), HasSubstr("not one whole number for each of 6 samples"));
  EXPECT_EQ(open_source({path_ + ":/images,none"})->info().classes, 0);
}

TEST_F(BadFile, WithPixelsThatAreNoNumbers) {
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity(), -1.0f}) {
    std::vector<float> values(6 * 8 * 8 * 3, 0.5f);
    values[2 * 8 * 8 * 3 + 17] = bad;
    MadeFile(path_).add("images", H5T_NATIVE_FLOAT, {6, 8, 8, 3}, values);
    const auto source = open_source({path_ + ":/images@0..1"});
    EXPECT_THAT(refusal([&] { read_all(*source); }), HasSubstr("sample 2 of"));
    const Verified found = verify(*source, 2, [](std::int64_t) {});
    EXPECT_THAT(found.damaged, ::testing::ElementsAre(2));
  }
}

TEST_F(BadFile, WithImagesOfVaryingSizes) {
  struct Row {
    std::size_t length;
    const void* bytes;
  };
  const std::uint8_t pixels[3] = {1, 2, 3};
  const hid_t type = H5Tvlen_create(H5T_NATIVE_UINT8);
  MadeFile(path_).add("images", type, {2}, std::vector<Row>{{2, pixels}, {3, pixels}}).labels("labels", {2});
  H5Tclose(type);
  EXPECT_THAT(refusal_to_open(), HasSubstr("/images variable-length values 2"));
}

/// The ways in which items are read, each with its own fate when the file becomes shorter.
struct Way {
  const char* name;
  std::function<void(const std::string& path)> make;
  const char* selection;
  const char* how;  // in the description
};

std::vector<Way> ways() {
  const Shape shape = {6, 32, 32, 3};
  return {{"pread of the item", [=](const auto& path) { MadeFile(path).bytes("images", shape); }, "", "contiguous"},
          {"pread of a chunk's part", [=](const auto& path) { MadeFile(path).bytes("images", shape, {2, 32, 32, 3}); },
           "", "chunks"},
          {"a filtered chunk", [=](const auto& path) { MadeFile(path).bytes("images", shape, {1, 32, 32, 3}, 1); }, "",
           "filtered"},
          {"chunks decoded together",
           [=](const auto& path) { MadeFile(path).bytes("images", shape, {2, 32, 32, 3}, 1); }, "", "at a time"},
          {"converted",
           [=](const auto& path) {
             MadeFile(path, {.big_endian = true}).add("images", H5T_NATIVE_FLOAT, shape, counted<float>(shape));
           },
           ":/images@0..255", "converted directly"},
          {"the library",  // which does not notice
           [=](const auto& path) {
             const hid_t type = H5Tcopy(H5T_NATIVE_INT16);
             H5Tset_precision(type, 9);
             MadeFile(path).add("images", H5T_NATIVE_INT16, shape, counted<std::int16_t>(shape), {}, 0, type);
             H5Tclose(type);
           },
           "", "by the HDF5 library"}};
}

TEST_F(BadFile, ThatIsCutWhileItIsRead) {
  for (const Way& way : ways()) {
    SCOPED_TRACE(way.name);
    way.make(path_);
    const auto source = open_source({path_ + way.selection});
    ASSERT_THAT(source->info().description, HasSubstr(way.how));
    read_all(*source);
    const auto fresh = open_source({path_ + way.selection});  // has decoded nothing yet
    std::filesystem::resize_file(path_, 2048);
    EXPECT_THAT(refusal([&] { read_all(*fresh); }), HasSubstr("is truncated: it ends at byte 2048"));
  }
}

TEST_F(BadFile, ThatIsCutWhileItTrainsEndsTheLoader) {
  for (const Way& way : ways()) {
    SCOPED_TRACE(way.name);
    way.make(path_);
    const auto source = open_source({path_ + way.selection});
    std::filesystem::resize_file(path_, 2048);
    Loader loader(*source, one_by_one([](std::uint64_t position) { return static_cast<std::int64_t>(position % 6); }),
                  {.batch = 6, .last = 6, .threads = 2, .ahead = {}});
    EXPECT_THAT(refusal([&] { loader.next(); }), HasSubstr("is truncated: it ends at byte 2048"));
  }
}

TEST_F(BadFile, ThatIsRemovedWhileItIsReadIsReadToItsEnd) {
  for (const Way& way : ways()) {
    SCOPED_TRACE(way.name);
    way.make(path_);
    const auto source = open_source({path_ + way.selection});
    std::filesystem::remove(path_);
    expect_counted(*source, false);
  }
}

}  // namespace
}  // namespace pathline::data
