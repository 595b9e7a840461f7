// SPDX-License-Identifier: Apache-2.0
// What the writer promises, seen through the HDF5 library alone and through our reader.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hdf5.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "core/crc32c.h"
#include "core/error.h"
#include "core/random.h"
#include "data/image_store_writer.h"
#include "data/shard_source.h"
#include "tests/support/temporary_directory.h"

namespace pathline::data {
namespace {

using core::ExitCode;
using ::testing::HasSubstr;
using tests::TemporaryDirectory;

/// Keyed bytes, another row for every (set, item).
std::vector<std::byte> keyed_item(const SetInfo& info, std::int64_t item) {
  std::vector<std::byte> bytes(info.item_bytes());
  const core::Draws draws(11, static_cast<std::uint64_t>(item), core::Purpose::kMadeData);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(draws.bits(i) & 0xff);
  return bytes;
}

SetInfo small_images(std::int64_t count = 7) {
  SetInfo info;
  info.count = count, info.height = 3, info.width = 5, info.channels = 3;
  info.classes = 3, info.class_names = {"disc", "square", "Größe"};
  return info;
}

std::string write_keyed(const std::string& path, const SetInfo& info, std::int64_t first = 0) {
  ImageStoreWriter writer(path, info);
  for (std::int64_t i = 0; i < info.count; ++i) writer.append(keyed_item(info, first + i), (first + i) % 3);
  return writer.finish();
}

std::vector<std::byte> read_item(const ShardSource& source, std::int64_t index) {
  std::vector<std::byte> bytes(source.info().item_bytes());
  source.read(index, bytes);
  return bytes;
}

/// A whole data set by H5Dread, and nothing of ours.
template <class Value>
std::vector<Value> raw_read(const std::string& path, const char* name, hid_t type) {
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  const hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
  const hid_t space = H5Dget_space(set);
  std::vector<Value> values(static_cast<std::size_t>(H5Sget_simple_extent_npoints(space)));
  EXPECT_GE(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
  H5Sclose(space), H5Dclose(set), H5Fclose(file);
  return values;
}

std::vector<std::string> names_in(const TemporaryDirectory& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory.path()))
    names.push_back(entry.path().filename());
  return names;
}

/// The error that `body` throws: its code and its paragraph.
std::pair<ExitCode, std::string> error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const core::Error& error) {
    return {error.code(), error.what()};
  }
  return {ExitCode::kFinished, "no error"};
}

TEST(ImageStoreWriter, WhatWasWrittenIsWhatTheHdf5LibraryReads) {
  const TemporaryDirectory directory;
  const SetInfo info = small_images();
  write_keyed(directory / "a.h5", info);
  const auto pixels = raw_read<std::byte>(directory / "a.h5", "/images", H5T_NATIVE_UINT8);
  const auto labels = raw_read<std::int64_t>(directory / "a.h5", "/labels", H5T_NATIVE_INT64);
  const auto crcs = raw_read<std::uint32_t>(directory / "a.h5", "/crc32c", H5T_NATIVE_UINT32);
  ASSERT_EQ(pixels.size(), 7 * info.item_bytes());
  for (std::int64_t i = 0; i < info.count; ++i) {
    const auto item = keyed_item(info, i);
    const std::size_t at = static_cast<std::size_t>(i);
    EXPECT_TRUE(std::equal(item.begin(), item.end(), pixels.begin() + i * static_cast<std::int64_t>(item.size())));
    EXPECT_EQ(labels[at], i % 3);
    EXPECT_EQ(crcs[at], core::crc32c(item));
  }
  EXPECT_THAT(names_in(directory), ::testing::ElementsAre("a.h5"));
}

TEST(ImageStoreReader, GivesBackItemsLabelsClassesAndDigest) {
  const TemporaryDirectory directory;
  const SetInfo info = small_images();
  const std::string digest = write_keyed(directory / "a.h5", info);
  const auto source = open_source({directory / "a.h5"});
  EXPECT_EQ(source->info().kind, ItemKind::kImage);
  EXPECT_EQ(source->info().count, 7);
  EXPECT_EQ(source->info().height, 3);
  EXPECT_EQ(source->info().width, 5);
  EXPECT_EQ(source->info().channels, 3);
  EXPECT_EQ(source->info().classes, 3);
  EXPECT_EQ(source->info().class_names, info.class_names);
  EXPECT_EQ(source->info().digest, digest);
  EXPECT_THAT(source->info().description, HasSubstr("contiguous, read directly"));
  for (std::int64_t i = 0; i < info.count; ++i) {
    EXPECT_EQ(read_item(*source, i), keyed_item(info, i));
    EXPECT_EQ(source->label(i), i % 3);
    EXPECT_EQ(source->stored_crc(i), core::crc32c(keyed_item(info, i)));
  }
}

TEST(ImageStoreReader, ReadsPointsAndSetsWithoutLabels) {
  const TemporaryDirectory directory;
  SetInfo info;
  info.kind = ItemKind::kPoint, info.count = 3, info.channels = 2;
  const std::vector<float> values = {1.5f, -2, 0, 1e-30f, 7, 8};
  ImageStoreWriter writer(directory / "p.h5", info);
  for (std::size_t i = 0; i < 3; ++i) writer.append(std::as_bytes(std::span(values).subspan(2 * i, 2)), -1);
  writer.finish();
  EXPECT_EQ(raw_read<float>(directory / "p.h5", "/points", H5T_NATIVE_FLOAT), values);
  const auto source = open_source({directory / "p.h5"});
  EXPECT_EQ(source->info().kind, ItemKind::kPoint);
  EXPECT_EQ(source->info().classes, 0);
  EXPECT_EQ(source->label(2), -1);
  float point[2];
  source->read(1, std::as_writable_bytes(std::span(point)));
  EXPECT_EQ(point[0], 0.0f);
  EXPECT_EQ(point[1], 1e-30f);
}

TEST(ImageStoreWriter, ItemsMayComeInAnyOrderFromSeveralThreads) {
  const TemporaryDirectory directory;
  const SetInfo info = small_images(64);
  const std::string in_order = write_keyed(directory / "a.h5", info);
  ImageStoreWriter writer(directory / "b.h5", info);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::int64_t i = 63 - t; i >= 0; i -= 4) writer.put(i, keyed_item(info, i), i % 3);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(writer.finish(), in_order);
  EXPECT_EQ(raw_read<std::byte>(directory / "a.h5", "/images", H5T_NATIVE_UINT8),
            raw_read<std::byte>(directory / "b.h5", "/images", H5T_NATIVE_UINT8));
}

TEST(ImageStoreWriter, ColumnsAndAttributesOfGeneratedSetsAreThere) {
  const TemporaryDirectory directory;
  const SetInfo info = small_images(2);
  ImageStoreWriter writer(directory / "a.h5", info);
  for (std::int64_t i = 0; i < 2; ++i) writer.append(keyed_item(info, i), 0);
  writer.add_column("ids", std::vector<std::int64_t>{-1, std::int64_t{1} << 40});
  writer.add_column("seeds", std::vector<std::uint64_t>{~std::uint64_t{0}, 1});
  writer.add_column("nfe", std::vector<std::int32_t>{12, -3});
  writer.add_column("status", std::vector<std::uint8_t>{1, 2});
  writer.add_column("logp", std::vector<float>{0.5f, -1e20f});
  writer.add_attribute("solver", "dopri5");
  writer.finish();
  using ::testing::ElementsAre;
  EXPECT_THAT(raw_read<std::int64_t>(directory / "a.h5", "/ids", H5T_NATIVE_INT64),
              ElementsAre(-1, std::int64_t{1} << 40));
  EXPECT_THAT(raw_read<std::uint64_t>(directory / "a.h5", "/seeds", H5T_NATIVE_UINT64),
              ElementsAre(~std::uint64_t{0}, 1u));
  EXPECT_THAT(raw_read<std::int32_t>(directory / "a.h5", "/nfe", H5T_NATIVE_INT32), ElementsAre(12, -3));
  EXPECT_THAT(raw_read<std::uint8_t>(directory / "a.h5", "/status", H5T_NATIVE_UINT8), ElementsAre(1, 2));
  EXPECT_THAT(raw_read<float>(directory / "a.h5", "/logp", H5T_NATIVE_FLOAT), ElementsAre(0.5f, -1e20f));
  EXPECT_EQ(open_source({directory / "a.h5"})->info().count, 2);
}

TEST(ImageStoreWriter, ShortenedSetEqualsOneThatWasShortFromTheStart) {
  const TemporaryDirectory directory;
  const SetInfo info = small_images(7);
  const std::string expected = write_keyed(directory / "short.h5", small_images(4));
  ImageStoreWriter writer(directory / "a.h5", info);
  for (std::int64_t i = 0; i < 4; ++i) writer.append(keyed_item(info, i), i % 3);
  writer.shorten(writer.appended());
  EXPECT_EQ(writer.finish(), expected);
  EXPECT_EQ(raw_read<std::byte>(directory / "a.h5", "/images", H5T_NATIVE_UINT8),
            raw_read<std::byte>(directory / "short.h5", "/images", H5T_NATIVE_UINT8));
  EXPECT_EQ(names_in(directory).size(), 2u);
}

TEST(ImageStoreWriter, AnUnfinishedFileLeavesNothingAndTheOldOneUntouched) {
  const TemporaryDirectory directory;
  const std::string digest = write_keyed(directory / "a.h5", small_images(2));
  {
    ImageStoreWriter writer(directory / "a.h5", small_images(5));
    writer.append(keyed_item(small_images(), 0), 0);
    EXPECT_EQ(open_source({directory / "a.h5"})->info().digest, digest);
  }
  EXPECT_THAT(names_in(directory), ::testing::ElementsAre("a.h5"));
  EXPECT_EQ(open_source({directory / "a.h5"})->info().digest, digest);
}

TEST(ImageStoreWriter, OfTwoThatKeepWhatIsThereTheFirstGetsTheName) {
  const TemporaryDirectory directory;
  ImageStoreWriter first(directory / "a.h5", small_images(1)), second(directory / "a.h5", small_images(2));
  first.append(keyed_item(small_images(), 0), 0);
  for (std::int64_t i = 0; i < 2; ++i) second.append(keyed_item(small_images(), i), 0);
  second.finish(Existing::kKeep);
  const auto [code, paragraph] = error_of([&] { first.finish(Existing::kKeep); });
  EXPECT_EQ(code, ExitCode::kUsage);
  EXPECT_THAT(paragraph, HasSubstr("a.h5 appeared"));
  EXPECT_EQ(open_source({directory / "a.h5"})->info().count, 2);
}

TEST(ImageStoreWriter, AMissingDirectoryIsTheEnvironmentsFault) {
  const TemporaryDirectory directory;
  EXPECT_EQ(error_of([&] { ImageStoreWriter(directory / "none/a.h5", small_images()); }).first, ExitCode::kEnvironment);
}

/// The exit code of a program that writes on a full disk, for which a limit on the size of files stands; 1 if a file
/// is left behind.
int write_on_a_full_disk() {
  const TemporaryDirectory directory;
  const rlimit tight = {.rlim_cur = 1 << 16, .rlim_max = 1 << 16};
  std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &tight);
  const int code = core::run_program([&] {
    ImageStoreWriter(directory / "a.h5", small_images(100000));
    return 0;
  });
  return names_in(directory).empty() ? code : 1;
}

// In a process of its own up to its end: the HDF5 library keeps files that it could not close.
TEST(ImageStoreWriterDeathTest, AFullDiskEndsTheProgramInOrderAndLeavesNothing) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(std::exit(write_on_a_full_disk()), ::testing::ExitedWithCode(4), "no room");
}

TEST(ImageStoreWriter, RefusesLabelsOutOfRange) {
  const TemporaryDirectory directory;
  ImageStoreWriter writer(directory / "a.h5", small_images());
  const auto [code, paragraph] = error_of([&] { writer.append(keyed_item(small_images(), 0), 3); });
  EXPECT_EQ(code, ExitCode::kInput);
  EXPECT_THAT(paragraph, HasSubstr("labels out of range"));
}

// Computed by a second implementation, in Python; also in docs/formats/image-store.md.
TEST(ImageStoreWriter, ContentDigestIsThePublishedOne) {
  const TemporaryDirectory directory;
  SetInfo info;
  info.count = 2, info.channels = 1, info.classes = 2;
  ImageStoreWriter writer(directory / "a.h5", info);
  for (const int value : {0, 255}) writer.append(std::vector{static_cast<std::byte>(value)}, value / 255);
  EXPECT_EQ(writer.finish(), "fnv1a64:032c8b148c523131");
}

/// Changes one number of an existing data set or attribute through the library.
void overwrite_label(const std::string& path, std::size_t index, std::int64_t value) {
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  const hid_t set = H5Dopen2(file, "/labels", H5P_DEFAULT);
  const hid_t space = H5Dget_space(set);
  const hsize_t at = index, one = 1;
  H5Sselect_elements(space, H5S_SELECT_SET, 1, &at);
  const hid_t memory = H5Screate_simple(1, &one, nullptr);
  EXPECT_GE(H5Dwrite(set, H5T_NATIVE_INT64, memory, space, H5P_DEFAULT, &value), 0);
  H5Ldelete(file, "/crc32c", H5P_DEFAULT);
  H5Sclose(memory), H5Sclose(space), H5Dclose(set), H5Fclose(file);
}

TEST(ImageStoreReader, NamesTheSampleWhoseLabelIsOutOfRange) {
  const TemporaryDirectory directory;
  for (const std::int64_t wrong : {-1, 3}) {
    write_keyed(directory / "a.h5", small_images());
    overwrite_label(directory / "a.h5", 5, wrong);
    const auto [code, paragraph] = error_of([&] { open_source({directory / "a.h5"}); });
    EXPECT_EQ(code, ExitCode::kInput);
    EXPECT_THAT(paragraph, HasSubstr("labels out of range"));
    EXPECT_THAT(paragraph, HasSubstr(core::concat("sample 5 has label ", wrong)));
  }
}

TEST(ImageStoreReader, RefusesANewerVersionInWords) {
  const TemporaryDirectory directory;
  write_keyed(directory / "a.h5", small_images());
  const hid_t file = H5Fopen((directory / "a.h5").c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  const hid_t attribute = H5Aopen(file, "version", H5P_DEFAULT);
  const std::int64_t two = 2;
  H5Awrite(attribute, H5T_NATIVE_INT64, &two);
  H5Aclose(attribute), H5Fclose(file);
  const auto [code, paragraph] = error_of([&] { open_source({directory / "a.h5"}); });
  EXPECT_EQ(code, ExitCode::kInput);
  EXPECT_THAT(paragraph, HasSubstr("version 2"));
  EXPECT_THAT(paragraph, HasSubstr("newer Pathline"));
}

TEST(ImageStoreReader, PartsReadAsOneSetWithTheDigestOfOneFile) {
  const TemporaryDirectory directory;
  const std::string whole = write_keyed(directory / "whole.h5", small_images(9));
  const std::vector<std::int64_t> counts = {4, 4, 1};
  for (std::size_t p = 0; p < 3; ++p) {
    write_keyed(directory / core::concat("a-0000", p, "-of-00003.h5"), small_images(counts[p]),
                static_cast<std::int64_t>(4 * p));
  }
  std::ofstream(directory / "a.json") << R"({"format": "pathline-images-index", "version": 1, "parts": [
    {"file": "a-00000-of-00003.h5"}, {"file": "a-00001-of-00003.h5"}, {"file": "a-00002-of-00003.h5"}]})";
  for (const char* name : {"a-*.h5", "a.json"}) {
    const auto source = open_source({directory / name});
    EXPECT_EQ(source->info().count, 9);
    EXPECT_EQ(source->info().digest, whole);
    for (std::int64_t i = 0; i < 9; ++i) {
      EXPECT_EQ(read_item(*source, i), keyed_item(small_images(), i));
      EXPECT_EQ(source->label(i), i % 3);
    }
  }
  std::filesystem::remove(directory / "a-00001-of-00003.h5");
  const auto [code, paragraph] = error_of([&] { open_source({directory / "a-*.h5"}); });
  EXPECT_EQ(code, ExitCode::kInput);
  EXPECT_THAT(paragraph, HasSubstr("only 2"));
}

TEST(ImageStoreReader, WhatIsNoDataSetIsAnInputError) {
  const TemporaryDirectory directory;
  std::ofstream(directory / "text.h5") << "not HDF5";
  std::ofstream(directory / "empty.h5");
  std::ofstream(directory / "bad.json") << R"({"format": "other"})";
  for (const char* name : {"text.h5", "empty.h5", "missing.h5", "none-*.h5", "bad.json"}) {
    const auto [code, paragraph] = error_of([&] { open_source({directory / name}); });
    EXPECT_EQ(code, ExitCode::kInput) << name << ": " << paragraph;
    EXPECT_THAT(paragraph, HasSubstr(name));
  }
}

}  // namespace
}  // namespace pathline::data
