// SPDX-License-Identifier: Apache-2.0
// The golden files were written by NumPy 2 (numpy.savez and numpy.savez_compressed).
#include "data/npz.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "core/error.h"
#include "tests/support/temporary_directory.h"

namespace pathline::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// numpy.savez(f, numpy.arange(12, dtype=uint8).reshape(1, 2, 2, 3), numpy.array([7], dtype=int64))
constexpr std::string_view kPlain =
    "504b03042d0000000000000021006f567cd0ffffffffffffffff090014006172725f302e6e7079010010008c000000000000008c"
    "00000000000000934e554d5059010076007b276465736372273a20277c7531272c2027666f727472616e5f6f72646572273a2046"
    "616c73652c20277368617065273a2028312c20322c20322c2033292c207d20202020202020202020202020202020202020202020"
    "2020202020202020202020202020202020202020202020202020202020200a000102030405060708090a0b504b03042d00000000"
    "0000002100b9937b98ffffffffffffffff090014006172725f312e6e70790100100088000000000000008800000000000000934e"
    "554d5059010076007b276465736372273a20273c6938272c2027666f727472616e5f6f72646572273a2046616c73652c20277368"
    "617065273a2028312c292c207d202020202020202020202020202020202020202020202020202020202020202020202020202020"
    "2020202020202020202020202020202020202020200a0700000000000000504b01022d032d0000000000000021006f567cd08c00"
    "00008c0000000900000000000000000000008001000000006172725f302e6e7079504b01022d032d000000000000002100b9937b"
    "9888000000880000000900000000000000000000008001c70000006172725f312e6e7079504b050600000000020002006e000000"
    "8a0100000000";
// numpy.savez_compressed(f, x=numpy.array([[1.5, -2.0, 0.25]], dtype=">f4"), s=numpy.float64(3.0))
constexpr std::string_view kDeflated =
    "504b03042d0000000800000021007ea20765ffffffffffffffff05001400782e6e7079010010008c000000000000005100000000"
    "0000009bec17ea1b10c9c850c650ad9e925a9c5ca46ea5a06e9766a2aea3a09e965f54529498179f5f94920a12774bcc294e058a"
    "17672416a402f91a863a0ac69a3a0ab50a64032efb030c0c40c460d7c0c00000504b03042d00000008000000210039fb8f3fffff"
    "ffffffffffff05001400732e6e707901001000880000000000000047000000000000009bec17ea1b10c9c850c650ad9e925a9c5c"
    "a46ea5a06e9366a1aea3a09e965f54529498179f5f94920a12774bcc294e058a17672416a402f91a9a3a0ab50a14012e0630e070"
    "0000504b01022d032d0000000800000021007ea20765510000008c000000050000000000000000000000800100000000782e6e70"
    "79504b01022d032d00000008000000210039fb8f3f4700000088000000050000000000000000000000800188000000732e6e7079"
    "504b0506000000000200020066000000060100000000";

std::vector<std::byte> from_hex(std::string_view hex) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

void write_file(const std::string& path, std::span<const std::byte> bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

/// One file, read from memory: thousands of damaged archives without a disk.
class OneFile final : public core::FileSystem {
 public:
  explicit OneFile(std::span<const std::byte> content) : content_(content) {}
  void read(const std::string&, std::uint64_t offset, std::span<std::byte> out) override {
    if (offset > content_.size() || out.size() > content_.size() - offset) {
      throw core::Error(core::ExitCode::kEnvironment, "read beyond the end of the file");
    }
    std::copy_n(content_.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
  }
  std::uint64_t size(const std::string&) override { return content_.size(); }
  bool exists(const std::string&) override { return true; }
  bool is_directory(const std::string&) override { return false; }
  std::unique_ptr<core::WritableFile> create(const std::string&) override { return nullptr; }
  std::vector<std::string> list(const std::string&) override { return {}; }
  void make_directory(const std::string&) override {}
  void rename(const std::string&, const std::string&) override {}
  bool link(const std::string&, const std::string&) override { return false; }
  void remove(const std::string&) override {}
  void sync_directory(const std::string&) override {}
  std::uint64_t free_bytes(const std::string&) override { return 0; }

 private:
  std::span<const std::byte> content_;
};

class Npz : public testing::Test {
 protected:
  std::string file(std::span<const std::byte> bytes) {
    write_file(path_, bytes);
    return path_;
  }
  /// Reads every array; true if nothing was refused. Anything but core::Error (kInput) fails the test.
  bool readable(std::span<const std::byte> bytes) {
    try {
      OneFile files(bytes);
      const NpzReader reader(files, "test.npz");
      for (const auto& name : reader.names()) reader.read(name);
      return true;
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kInput) << error.what();
      return false;
    }
  }

  core::PosixFileSystem files_;
  tests::TemporaryDirectory directory_;
  std::string path_ = directory_ / "test.npz";
};

TEST_F(Npz, ReadsWhatNumpySaved) {
  const NpzReader reader(files_, file(from_hex(kPlain)));
  EXPECT_THAT(reader.names(), ElementsAre("arr_0", "arr_1"));
  const NpyArray images = reader.read("arr_0");
  EXPECT_EQ(images.dtype, "u1");
  EXPECT_THAT(images.shape, ElementsAre(1, 2, 2, 3));
  EXPECT_THAT(images.as<std::uint8_t>(), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11));
  const NpyArray labels = reader.read("arr_1");
  EXPECT_EQ(labels.dtype, "i8");
  EXPECT_THAT(labels.as<std::int64_t>(), ElementsAre(7));
}

TEST_F(Npz, ReadsCompressedBigEndianAndScalarArrays) {
  const NpzReader reader(files_, file(from_hex(kDeflated)));
  EXPECT_THAT(reader.read("x").as<float>(), ElementsAre(1.5f, -2.0f, 0.25f));
  EXPECT_THAT(reader.read("x").shape, ElementsAre(1, 3));
  EXPECT_THAT(reader.read("s").as<double>(), ElementsAre(3.0));
  EXPECT_TRUE(reader.read("s").shape.empty());
  EXPECT_EQ(reader.offset("x"), std::nullopt);
}

TEST_F(Npz, TellsWhereStoredElementsLie) {
  const auto bytes = from_hex(kPlain);
  const NpzReader reader(files_, file(bytes));
  const auto offset = reader.offset("arr_0");
  ASSERT_TRUE(offset.has_value());
  for (std::size_t i = 0; i < 12; ++i) EXPECT_EQ(bytes[*offset + i], static_cast<std::byte>(i));
}

TEST_F(Npz, ElementsThatAreMoreOrFewerThanTheHeaderSaysAreNotLookedFor) {
  for (const char dimension : {'2', '4'}) {  // (1, 2, 2, 3) otherwise
    auto bytes = from_hex(kPlain);
    const std::string_view text = "2, 3)";
    const auto found = std::search(bytes.begin(), bytes.end(), text.begin(), text.end(),
                                   [](std::byte b, char c) { return b == static_cast<std::byte>(c); });
    ASSERT_NE(found, bytes.end());
    found[3] = static_cast<std::byte>(dimension);
    const NpzReader reader(files_, file(bytes));
    EXPECT_THROW(reader.offset("arr_0"), core::Error) << dimension;
    EXPECT_THROW(reader.read("arr_0"), core::Error) << dimension;
  }
}

TEST_F(Npz, NamesTheArraysThereAreWhenOneIsMissing) {
  const NpzReader reader(files_, file(from_hex(kPlain)));
  try {
    reader.read("images");
    FAIL() << "a missing array was read";
  } catch (const core::Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("images"), HasSubstr("arr_0"), HasSubstr("arr_1")));
  }
}

TEST_F(Npz, EveryCutIsNoticed) {
  for (const auto golden : {kPlain, kDeflated}) {
    const auto bytes = from_hex(golden);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(readable(std::span(bytes).first(size))) << size << " bytes";
    }
  }
}

TEST_F(Npz, EveryFlippedByteOfAnArrayIsNoticed) {
  auto bytes = from_hex(kPlain);
  const auto offset = NpzReader(files_, file(bytes)).offset("arr_0");
  ASSERT_TRUE(offset.has_value());
  for (std::size_t at = *offset - 128; at < *offset + 12; ++at) {  // .npy header and elements
    auto damaged = bytes;
    damaged[at] ^= std::byte{1};
    EXPECT_FALSE(readable(damaged)) << "byte " << at;
  }
}

TEST_F(Npz, ForeignBytesGiveArraysOrAnInputError) {
  std::size_t refused = 0;
  for (const auto golden : {kPlain, kDeflated}) {
    const auto bytes = from_hex(golden);
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      for (const int value : {0x00, 0x7f, 0xff}) {
        auto damaged = bytes;
        damaged[at] = static_cast<std::byte>(value);
        if (!readable(damaged)) ++refused;
      }
    }
  }
  EXPECT_GT(refused, 100u);
}

TEST_F(Npz, WrittenRowByRowReadsBack) {
  NpzWriter writer(files_, path_);
  writer.begin("arr_0", "u1", {3, 2});
  for (const int row : {1, 3, 5}) {
    writer.append(std::vector<std::byte>{static_cast<std::byte>(row), static_cast<std::byte>(row + 1)});
  }
  const std::vector<std::int64_t> labels = {-1, 9, 1};
  const auto bytes = std::as_bytes(std::span(labels));
  writer.add("arr_1", {"i8", {3}, {bytes.begin(), bytes.end()}});
  writer.finish();

  const NpzReader reader(files_, path_);
  EXPECT_THAT(reader.read("arr_0").as<std::uint8_t>(), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(reader.read("arr_0").shape, ElementsAre(3, 2));
  EXPECT_THAT(reader.read("arr_1").as<std::int64_t>(), ElementsAre(-1, 9, 1));
}

TEST_F(Npz, TheWrittenArrayIsNumpysOwnByForByte) {
  const auto golden = from_hex(kPlain);
  const NpzReader theirs(files_, file(golden));
  const auto begin = golden.begin() + static_cast<std::ptrdiff_t>(*theirs.offset("arr_0")) - 128;
  const std::vector<std::byte> expected(begin, begin + 128 + 12);

  NpzWriter writer(files_, path_);
  writer.add("arr_0", theirs.read("arr_0"));
  writer.finish();
  const ZipReader ours(files_, path_);
  EXPECT_EQ(read_all(*ours.open(*ours.find("arr_0.npy"))), expected);
}

TEST_F(Npz, NothingIsAtThePathBeforeFinish) {
  {
    NpzWriter writer(files_, path_);
    writer.begin("arr_0", "u1", {2});
    writer.append(std::vector<std::byte>(1));
    EXPECT_FALSE(files_.exists(path_));
  }
  EXPECT_TRUE(files_.list(directory_.path()).empty());
}

TEST_F(Npz, MembersBeyondFourGibibytesAreFound) {
  // A sparse file: the archive's second member begins beyond 4 GiB, so its offset exists in ZIP64 fields only.
  NpzWriter small(files_, path_);
  small.add("a", {"u1", {1}, {std::byte{42}}});
  small.finish();
  std::vector<std::byte> bytes(files_.size(path_));
  files_.read(path_, 0, bytes);
  const std::uint64_t shift = std::uint64_t{5} << 30;
  const auto add_shift = [&](std::size_t at) {  // 64-bit little-endian fields of the writer
    std::uint64_t value = 0;
    for (int i = 7; i >= 0; --i) value = value << 8 | std::to_integer<std::uint64_t>(bytes[at + i]);
    value += shift;
    for (int i = 0; i < 8; ++i) bytes[at + i] = static_cast<std::byte>(value >> (8 * i) & 0xff);
  };
  const std::size_t end64 = bytes.size() - 22 - 20 - 56;
  add_shift(end64 - 8);       // offset of the local header: last field of the central directory
  add_shift(end64 + 48);      // offset of the central directory
  add_shift(end64 + 56 + 8);  // offset of the ZIP64 end record
  std::filesystem::remove(path_);
  std::ofstream out(path_, std::ios::binary);
  out.seekp(static_cast<std::streamoff>(shift));
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  out.close();
  EXPECT_THAT(NpzReader(files_, path_).read("a").as<std::uint8_t>(), ElementsAre(42));
}

}  // namespace
}  // namespace pathline::data
