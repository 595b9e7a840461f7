// SPDX-License-Identifier: Apache-2.0
// ZIP archives and folders with dataset.json, as StyleGAN's and EDM's dataset_tool.py write them (the archives byte by
// byte, after PKWARE's APPNOTE 6.3).
#include <gmock/gmock.h>
#include <zlib.h>

#include "data/little_endian.h"
#include "data/png.h"
#include "tests/data/import_fixture.h"

namespace pathline::data {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

enum class Packed { kStored, kDeflated };

std::vector<std::byte> deflated(std::span<const std::byte> content) {
  z_stream zlib{};
  deflateInit2(&zlib, Z_BEST_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::vector<std::byte> out(deflateBound(&zlib, content.size()));
  zlib.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(content.data()));
  zlib.avail_in = static_cast<uInt>(content.size());
  zlib.next_out = reinterpret_cast<Bytef*>(out.data());
  zlib.avail_out = static_cast<uInt>(out.size());
  deflate(&zlib, Z_FINISH);
  out.resize(zlib.total_out);
  deflateEnd(&zlib);
  return out;
}

class Zip {
 public:
  void add(const std::string& name, std::span<const std::byte> content, Packed packed = Packed::kStored) {
    const bool stored = packed == Packed::kStored;
    const auto data = stored ? std::vector(content.begin(), content.end()) : deflated(content);
    std::vector<std::byte> fields;  // from the version needed on: the same in both headers
    put_little_endian(fields, 20, 2);
    put_little_endian(fields, 0, 2);
    put_little_endian(fields, stored ? 0 : 8, 2);
    put_little_endian(fields, 0, 4);
    put_little_endian(fields, ::crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size()), 4);
    put_little_endian(fields, data.size(), 4);
    put_little_endian(fields, content.size(), 4);
    put_little_endian(fields, name.size(), 2);
    put_little_endian(fields, 0, 2);
    put_little_endian(directory_, 0x02014b50, 4);
    put_little_endian(directory_, 20, 2);
    append(directory_, fields);
    directory_.resize(directory_.size() + 10);
    put_little_endian(directory_, file_.size(), 4);
    append(directory_, std::as_bytes(std::span(name)));
    put_little_endian(file_, 0x04034b50, 4);
    append(file_, fields);
    append(file_, std::as_bytes(std::span(name)));
    append(file_, data);
    ++members_;
  }
  void add(const std::string& name, const std::string& text, Packed packed = Packed::kStored) {
    add(name, std::as_bytes(std::span(text)), packed);
  }
  std::vector<std::byte> finished() const {
    std::vector<std::byte> out = file_;
    append(out, directory_);
    put_little_endian(out, 0x06054b50, 4);
    put_little_endian(out, 0, 4);
    for (int i = 0; i < 2; ++i) put_little_endian(out, members_, 2);
    put_little_endian(out, directory_.size(), 4);
    put_little_endian(out, file_.size(), 4);
    put_little_endian(out, 0, 2);
    return out;
  }

 private:
  static void append(std::vector<std::byte>& to, std::span<const std::byte> bytes) {
    to.insert(to.end(), bytes.begin(), bytes.end());
  }

  std::vector<std::byte> file_, directory_;
  std::uint64_t members_ = 0;
};

/// Three pictures as EDM lays them out, of 10, 20 and 30, and a dataset.json if there is any.
Zip edm(const std::string& json, Packed packed = Packed::kStored) {
  Zip zip;
  for (const int i : {2, 0, 1}) {
    zip.add("00000/img0000000" + std::to_string(i) + ".png", encode_png(flat(static_cast<std::uint8_t>(10 * (i + 1)))),
            packed);
  }
  if (!json.empty()) zip.add("dataset.json", json, packed);
  return zip;
}

const std::string kLabels =
    R"({"labels": [["00000/img00000001.png", 6], ["00000/img00000000.png", 2], ["00000/img00000002.png", 0]]})";

TEST_F(Import, ZipOfEdmTakesLabelsFromDatasetJson) {
  for (const Packed packed : {Packed::kStored, Packed::kDeflated}) {
    write(directory_ / "edm.zip", edm(kLabels, packed).finished());
    import(directory_ / "edm.zip");
    ASSERT_EQ(result_->info().count, 3);
    EXPECT_EQ(result_->info().classes, 7);
    for (std::int64_t i = 0; i < 3; ++i) EXPECT_EQ(item(i)[0], 10 * (i + 1));
    EXPECT_THAT((std::vector{result_->label(0), result_->label(1), result_->label(2)}), ElementsAre(2, 6, 0));
  }
}

TEST_F(Import, ZipWithoutLabelsHasNone) {
  for (const char* json : {R"({"labels": null})", R"({})"}) {
    write(directory_ / "edm.zip", edm(json).finished());
    import(directory_ / "edm.zip");
    EXPECT_EQ(result_->info().classes, 0);
    EXPECT_EQ(result_->label(0), -1);
  }
}

TEST_F(Import, ZipOfClassFoldersAsFileManagersPackThem) {
  Zip zip;
  zip.add("set/", "");
  zip.add("set/dog/1.png", encode_png(flat(30)), Packed::kDeflated);
  zip.add("set/cat/1.png", encode_png(flat(20)), Packed::kDeflated);
  zip.add("set/cat/.hidden.png", "no picture");
  zip.add("__MACOSX/set/cat/._1.png", "no picture");
  write(directory_ / "set.zip", zip.finished());
  import(directory_ / "set.zip");
  EXPECT_EQ(result_->info().count, 2);
  EXPECT_THAT(result_->info().class_names, ElementsAre("cat", "dog"));
  EXPECT_EQ(item(1)[0], 30);
}

TEST_F(Import, ZipWithoutPicturesAndArraysIsNotRecognised) {
  Zip zip;
  zip.add("notes.txt", "hello");
  write(directory_ / "notes.zip", zip.finished());
  EXPECT_THAT(failure_of(directory_ / "notes.zip").what(), AllOf(HasSubstr("notes.zip"), HasSubstr("dataset.json")));
}

TEST_F(Import, FolderWithDatasetJsonTakesItsLabels) {
  write(directory_ / "set/00000/a.png", encode_png(flat(1)));
  write(directory_ / "set/00001/b.png", encode_png(flat(2)));
  const std::string json = R"({"labels": [["00001/b.png", 1], ["00000/a.png", 3]]})";
  write(directory_ / "set/dataset.json", std::as_bytes(std::span(json)));
  import(directory_ / "set");
  EXPECT_EQ(result_->label(0), 3);
  EXPECT_EQ(result_->label(1), 1);
  ImportOptions options;
  import(directory_ / "set", options, "00001");
  EXPECT_EQ(result_->info().count, 1);
  EXPECT_EQ(result_->label(0), 1);
}

TEST_F(Import, BadDatasetJsonIsRefusedInWords) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"labels": [["00000/img00000000.png", 2])", "no JSON"},
      {R"([1])", "no JSON object"},
      {R"({"labels": 3})", "no list"},
      {R"({"labels": [["00000/img00000000.png"]]})", "no pair"},
      {R"({"labels": [["00000/img00000000.png", 0.5]]})", "0.5"},
      {R"({"labels": [["00000/img00000000.png", -1]]})", "-1"},
      {R"({"labels": [["00000/img00000000.png", true]]})", "true"},
      {R"({"labels": [["00000/img00000000.png", 1], ["00000/img00000000.png", 1]]})", "twice"},
      {R"({"labels": [["00000/img00000000.png", 1]]})", "no label for 00000/img00000001.png"},
      {kLabels.substr(0, kLabels.size() - 2) + R"(, ["gone.png", 1]]})", "gone.png"}};
  for (const auto& [json, why] : cases) {
    write(directory_ / "edm.zip", edm(json).finished());
    const auto error = failure_of(directory_ / "edm.zip");
    EXPECT_EQ(error.code(), core::ExitCode::kInput) << json;
    EXPECT_THAT(error.what(), AllOf(HasSubstr("edm.zip (dataset.json)"), HasSubstr(why))) << json;
  }
}

TEST_F(Import, ADamagedMemberIsOneBadPicture) {
  auto bytes = edm(kLabels).finished();
  bytes[100] ^= std::byte{0xff};  // in the pixels of the first member, picture 2
  write(directory_ / "edm.zip", bytes);
  ImportOptions options;
  options.skip_bad = true;
  const Imported done = import(directory_ / "edm.zip", options);
  EXPECT_THAT(done.problems, ElementsAre(AllOf(HasSubstr("img00000002.png"), HasSubstr("checksum"))));
  EXPECT_EQ(done.count, 2);
  bytes.resize(bytes.size() / 2);
  write(directory_ / "edm.zip", bytes);
  EXPECT_EQ(failure_of(directory_ / "edm.zip").code(), core::ExitCode::kInput);
}

TEST_F(Import, FormatDecidesWhereContentLeavesItOpen) {
  write(directory_ / "set/data_batch_1.bin", Bytes(3073, 1));
  write(directory_ / "set/cat/1.png", encode_png(flat(20)));
  EXPECT_THAT(open_pictures(files_, directory_ / "set", "")->description(), HasSubstr("CIFAR-10"));
  EXPECT_THAT(open_pictures(files_, directory_ / "set", "", SourceFormat::kFolder)->description(), HasSubstr("folder"));
  for (const auto& [name, format] : source_formats()) {
    if (format == SourceFormat::kByContent || format == SourceFormat::kCifar) continue;
    try {
      open_pictures(files_, directory_ / "set/data_batch_1.bin", "", format);
      ADD_FAILURE() << "CIFAR was taken for " << name;
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kInput) << name;
      EXPECT_THAT(error.what(), HasSubstr("data_batch_1.bin")) << name;
    }
  }
}

}  // namespace
}  // namespace pathline::data
