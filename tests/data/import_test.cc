// SPDX-License-Identifier: Apache-2.0
// Every kind of source in miniature, written here byte by byte, and what the store then holds.
#include "data/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "data/import_sources.h"
#include "data/npz.h"
#include "data/png.h"
#include "tests/data/import_fixture.h"

namespace pathline::data {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

void write_packed(const std::string& path, const Bytes& bytes) {
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
}

// Two pictures of 2 x 3.
const Bytes kIdxImages = {0, 0, 8, 3, 0, 0, 0, 2, 0,   0,   0,   2,   0,   0,
                          0, 3, 1, 2, 3, 4, 5, 6, 250, 251, 252, 253, 254, 255};
const Bytes kIdxLabels = {0, 0, 8, 1, 0, 0, 0, 2, 4, 0};

TEST_F(Import, IdxPairKeepsEveryByteAndFindsItsLabels) {
  write(directory_ / "train-images-idx3-ubyte", kIdxImages);
  write(directory_ / "train-labels-idx1-ubyte", kIdxLabels);
  const Imported done = import(directory_ / "train-images-idx3-ubyte");
  EXPECT_EQ(done.count, 2);
  EXPECT_EQ(result_->info().height, 2);
  EXPECT_EQ(result_->info().width, 3);
  EXPECT_EQ(result_->info().channels, 1);
  EXPECT_EQ(result_->info().classes, 5);
  EXPECT_THAT(item(0), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(item(1), ElementsAre(250, 251, 252, 253, 254, 255));
  EXPECT_EQ(result_->label(0), 4);
  EXPECT_EQ(result_->label(1), 0);
  EXPECT_EQ(done.digest, result_->info().digest);
}

TEST_F(Import, GzippedIdxPairIsTheSameStore) {
  write(directory_ / "t-images-idx3-ubyte", kIdxImages);
  write(directory_ / "t-labels-idx1-ubyte", kIdxLabels);
  const std::string digest = import(directory_ / "t-images-idx3-ubyte").digest;
  write_packed(directory_ / "u-images-idx3-ubyte.gz", kIdxImages);
  write_packed(directory_ / "u-labels-idx1-ubyte.gz", kIdxLabels);
  EXPECT_EQ(import(directory_ / "u-images-idx3-ubyte.gz").digest, digest);
}

TEST_F(Import, IdxWithoutLabelFileHasNoLabels) {
  write(directory_ / "images-idx3-ubyte", kIdxImages);
  import(directory_ / "images-idx3-ubyte");
  EXPECT_EQ(result_->info().classes, 0);
  EXPECT_EQ(result_->label(0), -1);
}

TEST_F(Import, ACutIdxFileIsNamed) {
  auto cut = kIdxImages;
  cut.pop_back();
  write(directory_ / "images-idx3-ubyte", cut);
  const auto error = failure_of(directory_ / "images-idx3-ubyte");
  EXPECT_EQ(error.code(), core::ExitCode::kInput);
  EXPECT_THAT(error.what(), HasSubstr("images-idx3-ubyte"));
}

TEST_F(Import, CifarPlanesBecomePixels) {
  Bytes file;
  for (const int label : {3, 9}) {
    file.push_back(static_cast<std::uint8_t>(label));
    for (int c = 0; c < 3; ++c) {
      for (int i = 0; i < 1024; ++i) file.push_back(static_cast<std::uint8_t>(64 * c + i % 61 + label));
    }
  }
  write(directory_ / "data_batch_1.bin", file);
  for (const auto& source : {directory_ / "data_batch_1.bin", directory_.path()}) {
    import(source);
    ASSERT_EQ(result_->info().count, 2);
    EXPECT_EQ(result_->info().class_names[3], "cat");
    EXPECT_EQ(result_->label(1), 9);
    const auto pixels = item(1);
    for (int i = 0; i < 1024; ++i) {
      for (int c = 0; c < 3; ++c) ASSERT_EQ(pixels[static_cast<std::size_t>(3 * i + c)], 64 * c + i % 61 + 9);
    }
  }
}

TEST_F(Import, ClassFoldersAreSortedByName) {
  write(directory_ / "set/dog/a.png", encode_png(flat(30)));
  write(directory_ / "set/cat/b.PNG", encode_png(flat(20)));
  write(directory_ / "set/cat/a.png", encode_png(flat(10)));
  write(directory_ / "set/README.txt", Bytes{1, 2});
  const Imported done = import(directory_ / "set");
  EXPECT_EQ(done.count, 3);
  EXPECT_THAT(result_->info().class_names, ElementsAre("cat", "dog"));
  EXPECT_EQ(item(0)[0], 10);
  EXPECT_EQ(item(1)[0], 20);
  EXPECT_EQ(item(2)[0], 30);
  EXPECT_EQ(result_->label(1), 0);
  EXPECT_EQ(result_->label(2), 1);
}

TEST_F(Import, EveryUnreadableFileIsNamedAndNothingIsWritten) {
  for (const char* name : {"a/1.png", "a/3.png", "b/1.png"}) write(directory_ / "set/" + name, encode_png(flat(1)));
  write(directory_ / "set/a/2.png", Bytes{1, 2, 3});
  write(directory_ / "set/b/2.jpg", Bytes{});
  testing::internal::CaptureStderr();
  const auto error = failure_of(directory_ / "set");
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(error.code(), core::ExitCode::kInput);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("2 of 5"), HasSubstr("--skip-bad")));
  EXPECT_THAT(said, AllOf(HasSubstr("a/2.png"), HasSubstr("b/2.jpg")));
  EXPECT_EQ(files_.list(directory_.path()), std::vector<std::string>{"set"});
}

TEST_F(Import, SkipBadKeepsAllOthersInOrder) {
  for (int i = 0; i < 6; ++i) {
    write(directory_ / "set/" + std::to_string(i) + ".png", encode_png(flat(static_cast<std::uint8_t>(i))));
  }
  write(directory_ / "set/0.png", Bytes{9});
  write(directory_ / "set/3.png", Bytes{9});
  ImportOptions options;
  options.skip_bad = true;
  const Imported done = import(directory_ / "set", options);
  EXPECT_EQ(done.count, 4);
  EXPECT_THAT(done.problems, ElementsAre(HasSubstr("0.png"), HasSubstr("3.png")));
  ASSERT_EQ(result_->info().count, 4);
  std::vector<int> first;
  for (std::int64_t i = 0; i < 4; ++i) first.push_back(item(i)[0]);
  EXPECT_THAT(first, ElementsAre(1, 2, 4, 5));
}

TEST_F(Import, DifferentSizesNeedADecision) {
  write(directory_ / "set/1.png", encode_png(flat(8, 4)));
  write(directory_ / "set/2.png", encode_png(flat(8, 6)));
  const auto error = failure_of(directory_ / "set");
  EXPECT_EQ(error.code(), core::ExitCode::kUsage);
  EXPECT_THAT(error.what(), HasSubstr("--size"));
  ImportOptions options;
  options.size = 5;
  options.pad = 7;
  import(directory_ / "set", options);
  EXPECT_EQ(result_->info().height, 7);
  EXPECT_EQ(item(1)[3 * (3 * 7 + 3)], 8);
  EXPECT_EQ(item(1)[0], 0);
}

TEST_F(Import, GreyAmongColourIsWidenedAndTheReverseRefused) {
  write(directory_ / "set/1.png", encode_png(flat(8, 2, 3)));
  write(directory_ / "set/2.png", encode_png(flat(5, 2, 1)));
  import(directory_ / "set");
  EXPECT_THAT(item(1), testing::Each(5));
  write(directory_ / "set/0.png", encode_png(flat(5, 2, 1)));
  EXPECT_THAT(failure_of(directory_ / "set").what(), AllOf(HasSubstr("--rgb"), HasSubstr("--grey")));
}

TEST_F(Import, NpzAsGuidedDiffusionWritesIt) {
  NpzWriter npz(files_, directory_ / "samples.npz");
  Bytes pixels;
  for (int i = 0; i < 2 * 2 * 2 * 3; ++i) pixels.push_back(static_cast<std::uint8_t>(i));
  const std::vector<std::int64_t> labels = {1, 0};
  const auto p = std::as_bytes(std::span(pixels)), l = std::as_bytes(std::span(labels));
  npz.add("arr_0", {"u1", {2, 2, 2, 3}, {p.begin(), p.end()}});
  npz.add("arr_1", {"i8", {2}, {l.begin(), l.end()}});
  npz.finish();
  import(directory_ / "samples.npz");
  EXPECT_THAT(item(1), ElementsAre(12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23));
  EXPECT_EQ(result_->label(0), 1);
  import(directory_ / "samples.npz:arr_0");
  EXPECT_EQ(result_->label(0), -1);
}

TEST_F(Import, AStoreCanBeImportedAgain) {
  write(directory_ / "images-idx3-ubyte", kIdxImages);
  const std::string digest = import(directory_ / "images-idx3-ubyte").digest;
  std::filesystem::rename(store_, directory_ / "first.h5");
  EXPECT_EQ(import(directory_ / "first.h5").digest, digest);
}

TEST_F(Import, WhatIsNotRecognisedListsWhatCanBeImported) {
  write(directory_ / "notes.txt", Bytes{'h', 'e', 'l', 'l', 'o'});
  const auto error = failure_of(directory_ / "notes.txt");
  EXPECT_EQ(error.code(), core::ExitCode::kInput);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("notes.txt"), HasSubstr("IDX"), HasSubstr("CIFAR"), HasSubstr("npz")));
  EXPECT_EQ(failure_of(directory_ / "nothing").code(), core::ExitCode::kInput);
}

/// One member of a ustar archive (POSIX.1-2001, pax utility, "ustar Interchange Format").
void add_to_tar(Bytes& tar, const std::string& name, std::span<const std::byte> content, char type = '0') {
  Bytes header(512, 0);
  const auto put = [&](std::size_t at, const std::string& text) {
    std::copy(text.begin(), text.end(), header.begin() + static_cast<std::ptrdiff_t>(at));
  };
  char octal[16];
  put(0, name);
  std::snprintf(octal, sizeof octal, "%011zo", content.size());
  put(124, octal);
  header[156] = static_cast<std::uint8_t>(type);
  put(257, "ustar");
  put(148, "        ");
  unsigned sum = 0;
  for (const auto byte : header) sum += byte;
  std::snprintf(octal, sizeof octal, "%06o", sum);
  put(148, std::string(octal) + '\0');
  tar.insert(tar.end(), header.begin(), header.end());
  for (const std::byte byte : content) tar.push_back(std::to_integer<std::uint8_t>(byte));
  tar.resize((tar.size() + 511) / 512 * 512, 0);
}

TEST_F(Import, TarOfClassFoldersPlainAndGzipped) {
  Bytes tar;
  const std::string long_name = "set/zebra/" + std::string(120, 'n') + ".png";
  const std::string pax = "144 path=" + long_name + "\n";
  ASSERT_EQ(pax.size(), 144u);  // a record's length counts itself
  add_to_tar(tar, "set/", {}, '5');
  add_to_tar(tar, "PaxHeader", std::as_bytes(std::span(pax)), 'x');
  add_to_tar(tar, "set/zebra/cut", encode_png(flat(70)));
  add_to_tar(tar, "set/ant/1.png", encode_png(flat(60)));
  tar.resize(tar.size() + 1024, 0);
  write(directory_ / "set.tar", tar);
  write_packed(directory_ / "set.tar.gz", tar);
  for (const char* name : {"set.tar", "set.tar.gz"}) {
    import(directory_ / name);
    EXPECT_THAT(result_->info().class_names, ElementsAre("ant", "zebra"));
    ASSERT_EQ(result_->info().count, 2);
    EXPECT_EQ(item(0)[0], 60);
    EXPECT_EQ(item(1)[0], 70);
    EXPECT_EQ(result_->label(1), 1);
  }
  tar.resize(tar.size() / 2);
  write(directory_ / "cut.tar", tar);
  EXPECT_EQ(failure_of(directory_ / "cut.tar").code(), core::ExitCode::kInput);
}

TEST_F(Import, WebDatasetTarTakesLabelsFromClsFiles) {
  Bytes tar;
  for (const int label : {7, 2}) {
    const std::string key = "0000" + std::to_string(9 - label), text = std::to_string(label) + "\n";
    add_to_tar(tar, key + ".png", encode_png(flat(static_cast<std::uint8_t>(label))));
    add_to_tar(tar, key + ".cls", std::as_bytes(std::span(text)));
  }
  tar.resize(tar.size() + 1024, 0);
  write(directory_ / "shard.tar", tar);
  import(directory_ / "shard.tar");
  EXPECT_EQ(result_->info().classes, 8);
  EXPECT_EQ(result_->label(0), 7);
  EXPECT_EQ(item(0)[0], 7);
  EXPECT_EQ(result_->label(1), 2);
}

TEST_F(Import, OfAWebDatasetTarOnlyWhatLiesBelowTheFolderIsTaken) {
  Bytes tar;
  for (const std::string key : {"train/1", "val/2"}) {
    const std::string text = key.substr(key.size() - 1);
    add_to_tar(tar, key + ".png", encode_png(flat(static_cast<std::uint8_t>(text[0]))));
    add_to_tar(tar, key + ".cls", std::as_bytes(std::span(text)));
  }
  tar.resize(tar.size() + 1024, 0);
  write(directory_ / "shard.tar", tar);
  EXPECT_EQ(import(directory_ / "shard.tar", {}, "val").count, 1);
  EXPECT_EQ(result_->label(0), 2);
  EXPECT_EQ(item(0)[0], '2');
}

TEST(ClassFolders, AreTheFirstThatDiffer) {
  const auto found = class_folders({"x/b/1.png", "x/a/2.png", "x/b/00001/3.png"}, "test");
  EXPECT_THAT(found.class_names, ElementsAre("a", "b"));
  EXPECT_THAT(found.labels, ElementsAre(1, 0, 1));
  EXPECT_THAT(class_folders({"x/1.png", "x/2.png"}, "test").labels, ElementsAre(-1, -1));
}

TEST(ClassFolders, AmbiguousOnesAreRefusedWithTheOptionThatDecides) {
  for (const std::vector<std::string>& names : {std::vector<std::string>{"train/cat/1.png", "test/cat/1.png"},
                                                std::vector<std::string>{"cat/1.png", "2.png"}}) {
    try {
      class_folders(names, "set");
      ADD_FAILURE() << "folders were guessed";
    } catch (const core::Error& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr("set"), HasSubstr("--under")));
    }
  }
}

}  // namespace
}  // namespace pathline::data
