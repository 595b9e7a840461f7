// SPDX-License-Identifier: Apache-2.0
// Sets of PNG files, read again by the importers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/error.h"
#include "core/file_system.h"
#include "data/import.h"
#include "data/png.h"
#include "sampler/sink.h"
#include "tests/support/temporary_directory.h"

namespace pathline::sampler {
namespace {

/// A picture of one grey level, `id` mod 200.
Record grey_picture(std::int64_t id, std::int64_t label) {
  Record record;
  record.id = id;
  record.label = label;
  record.item = data::encode_png(data::Image(2, 3, 1, static_cast<std::uint8_t>(id % 200)));
  return record;
}

SinkOptions options_for(const std::string& path, std::int64_t first, std::int64_t count, std::int64_t classes) {
  SinkOptions options;
  options.path = path;
  options.first = first;
  options.count = count;
  options.sample_shape = {1, 2, 3};
  options.labelled = classes > 0;
  options.classes = classes;
  options.description = "solver dopri5";
  return options;
}

void write_set(const SinkOptions& options) {
  const auto sink = make_sink(options);
  for (std::int64_t id = options.first + options.count - 1; id >= options.first; --id) {
    sink->put(grey_picture(id, options.labelled ? id % options.classes : -1));
  }
  sink->finish();
}

TEST(TarSink, WritesPairsThatTheImporterReads) {
  const tests::TemporaryDirectory directory;
  SinkOptions options = options_for(directory / "set.tar", 999'998, 5, 3);  // ids grow a digit on the way
  options.description = std::string(88, 'd');  // the comment's length has three digits because it counts them
  write_set(options);
  core::PosixFileSystem files;
  const auto source = data::open_pictures(files, options.path, "");
  ASSERT_EQ(source->count(), 5);
  EXPECT_EQ(source->classes(), 3);
  for (std::int64_t i = 0; i < 5; ++i) {
    const std::int64_t id = options.first + i;
    EXPECT_EQ(source->picture(i), data::Image(2, 3, 1, static_cast<std::uint8_t>(id % 200)));
    EXPECT_EQ(source->label(i), id % 3);
  }
  const std::string text = core::read_text(files, options.path);
  EXPECT_NE(text.find("101 comment=" + options.description + "\n"), std::string::npos);
  EXPECT_EQ(text.size() % 512, 0u);
}

TEST(TarSink, LeavesLabelsOutWhereThereAreNone) {
  const tests::TemporaryDirectory directory;
  write_set(options_for(directory / "set.tar", 0, 3, 0));
  core::PosixFileSystem files;
  EXPECT_EQ(data::open_pictures(files, directory / "set.tar", "")->classes(), 0);
  EXPECT_EQ(core::read_text(files, directory / "set.tar").find(".cls"), std::string::npos);
}

TEST(FolderSink, WritesClassFoldersInThousands) {
  const tests::TemporaryDirectory directory;
  SinkOptions options = options_for(directory / "set", 998, 4, 2);
  options.class_names = {"cat", "a/b"};
  write_set(options);
  for (const std::string name : {"cat/000000/000998.png", "a_b/000000/000999.png", "cat/001000/001000.png",
                                 "a_b/001000/001001.png", "generated_by.txt"}) {
    EXPECT_TRUE(std::filesystem::exists(directory / ("set/" + name))) << name;
  }
  core::PosixFileSystem files;
  const auto source = data::open_pictures(files, directory / "set", "");
  ASSERT_EQ(source->count(), 4);
  EXPECT_THAT(source->class_names(), testing::ElementsAre("a_b", "cat"));
}

TEST(FolderSink, ReplacesSetsAndNothingElse) {
  const tests::TemporaryDirectory directory;
  const SinkOptions options = options_for(directory / "set/", 0, 2, 0);
  write_set(options);
  write_set(options);  // as a start does that was killed after the folder got its name
  EXPECT_TRUE(std::filesystem::exists(directory / "set/000000/000001.png"));
  std::filesystem::remove(directory / "set/generated_by.txt");
  EXPECT_THROW(make_sink(options), core::Error);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory.path()), {}), 1);
}

}  // namespace
}  // namespace pathline::sampler
