// SPDX-License-Identifier: Apache-2.0
#include "core/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "core/error.h"
#include "core/random.h"
#include "tests/support/temporary_directory.h"

namespace pathline::core {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

void set_header_length(std::string& file, std::size_t length) {
  for (int i = 0; i < 8; ++i) file[i] = static_cast<char>(length >> (8 * i) & 0xff);
}

/// A file of this header and as many data bytes.
std::string file_of(const std::string& header, std::size_t data_bytes) {
  std::string file(8, '\0');
  set_header_length(file, header.size());
  return file + header + std::string(data_bytes, 'x');
}

SafetensorsHeader parse(const std::string& file) {
  return parse_safetensors_header(std::as_bytes(std::span(file)), file.size(), "w.safetensors");
}

std::string refusal_of(const std::string& file) {
  try {
    parse(file);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kInput);
    EXPECT_THAT(error.what(), HasSubstr("w.safetensors"));
    return error.what();
  }
  return "accepted";
}

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& place) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":[" + shape + "],\"data_offsets\":[" + place + "]}";
}

TEST(Safetensors, ReadsAFileOfTheReferenceImplementation) {
  // The header of safetensors.numpy.save({"b": arange(3, float32), "a": zeros((2, 2), uint8)}, {"k": "v"}).
  const std::string header = R"({"__metadata__":{"k":"v"},"b":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},)"
                             R"("a":{"dtype":"U8","shape":[2,2],"data_offsets":[12,16]}})";
  const SafetensorsHeader read = parse(file_of(header, 16));
  ASSERT_EQ(read.tensors.size(), 2u);
  EXPECT_EQ(read.tensors[0].name, "b");
  EXPECT_EQ(read.tensors[0].dtype, "F32");
  EXPECT_THAT(read.tensors[0].shape, ElementsAre(3));
  EXPECT_EQ(read.tensors[0].begin, 8 + header.size());
  EXPECT_EQ(read.tensors[0].end, 8 + header.size() + 12);
  EXPECT_EQ(read.tensors[1].name, "a");
  EXPECT_THAT(read.tensors[1].shape, ElementsAre(2, 2));
  EXPECT_EQ(read.metadata.at("k"), "v");
}

TEST(Safetensors, TakesScalarsAndEmptyTensors) {
  const auto header = "{" + entry("scalar", "F64", "", "0,8") + "," + entry("empty", "F32", "0,5", "8,8") + "}";
  const SafetensorsHeader read = parse(file_of(header, 8));
  ASSERT_EQ(read.tensors.size(), 2u);
  EXPECT_TRUE(read.tensors[0].shape.empty());
  EXPECT_EQ(read.tensors[1].begin, read.tensors[1].end);
  EXPECT_TRUE(parse(file_of("{}", 0)).tensors.empty());
}

TEST(Safetensors, RefusesWhatIsNotSound) {
  const std::string big = std::to_string(std::numeric_limits<std::int64_t>::max());
  const struct {
    std::string header;
    std::size_t bytes;
    const char* reason;
  } cases[] = {
      {"", 0, "begin with '{'"},
      {" {}", 0, "begin with '{'"},
      {"[]", 0, "begin with '{'"},
      {"{", 0, "not JSON"},
      {"{} x", 0, "not JSON"},
      {std::string("{}\0x", 4), 0, "zero byte"},
      {"{" + entry("\xff", "U8", "1", "0,1") + "}", 1, "not JSON"},
      {"{" + entry("a", "U8", "1", "0,1") + "," + entry("a", "U8", "1", "0,1") + "}", 1, "appears twice"},
      {R"({"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}})", 1, "appears twice"},
      {"{" + entry("a", "U8", "2", "0,2") + "," + entry("b", "U8", "2", "1,3") + "}", 3, "overlap or leave holes"},
      {"{" + entry("a", "U8", "2", "0,2") + "," + entry("b", "U8", "2", "3,5") + "}", 5, "overlap or leave holes"},
      {"{" + entry("a", "U8", "2", "1,3") + "}", 3, "overlap or leave holes"},
      {"{" + entry("a", "U8", "2", "0,2") + "}", 3, "end at byte"},
      {"{" + entry("a", "U8", "2", "0,2") + "}", 1, "end at byte"},
      {"{" + entry("a", "F32", "2", "0,2") + "}", 2, "needs 8 bytes"},
      {"{" + entry("a", "U8", "2", "2,0") + "}", 2, "needs 2 bytes"},
      {"{" + entry("a", "Q4", "2", "0,2") + "}", 2, "unknown"},
      {"{" + entry("a", "U8", "-2", "0,2") + "}", 2, "not a whole number"},
      {"{" + entry("a", "U8", "2.0", "0,2") + "}", 2, "not a whole number"},
      {"{" + entry("a", "U8", "18446744073709551615", "0,2") + "}", 2, "too large"},
      {"{" + entry("a", "F32", big + "," + big, "0,2") + "}", 2, "too large"},
      {"{" + entry("a", "U8", big, "18446744073709551615,9223372036854775806") + "}", 2, "needs"},
      {"{" + entry("a", "U8", "0", "18446744073709551615,18446744073709551615") + "}", 0, "too large"},
      {R"({"a":{"dtype":"U8","shape":[1]}})", 1, "no data_offsets"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}})", 1, "unknown members"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}})", 1, "not two numbers"},
      {R"({"a":{"dtype":1,"shape":[1],"data_offsets":[0,1]}})", 1, "not a string"},
      {R"({"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}})", 1, "not a list"},
      {R"({"a":5})", 1, "not an object"},
      {R"({"__metadata__":{"k":5}})", 0, "not a string"},
      {R"({"a":)" + std::string(100'000, '[') + std::string(100'000, ']') + "}", 0, "too deeply"}};
  for (const auto& wrong : cases) {
    EXPECT_THAT(refusal_of(file_of(wrong.header, wrong.bytes)), HasSubstr(wrong.reason)) << wrong.header.substr(0, 200);
  }
}

TEST(Safetensors, RefusesImpossibleHeaderLengths) {
  EXPECT_THAT(refusal_of("1234567"), HasSubstr("shorter than 8 bytes"));
  EXPECT_THAT(refusal_of(std::string(8, '\xff')), HasSubstr("more than 100 MB"));
  std::string file = file_of("{}", 0);
  file[0] = 3;
  EXPECT_THAT(refusal_of(file), HasSubstr("cut short"));
}

TEST(Safetensors, WritesWhatItReads) {
  const tests::TemporaryDirectory directory;
  PosixFileSystem files;
  const std::vector<float> weight{1, 2, 3, 4, 5, 6};
  const std::vector<std::uint8_t> mask{7, 8};
  const TensorBytes tensors[] = {{"w \"1\"", "F32", {2, 3}, std::as_bytes(std::span(weight))},
                                 {"é", "U8", {2}, std::as_bytes(std::span(mask))},
                                 {"empty", "I64", {0, 4}, {}}};
  const auto file = files.create(directory / "w.safetensors");
  write_safetensors(*file, tensors, {{"format", "pt"}});
  file->close();
  const SafetensorsHeader read = read_safetensors_header(files, directory / "w.safetensors");
  EXPECT_EQ(read.metadata, (std::map<std::string, std::string>{{"format", "pt"}}));
  ASSERT_EQ(read.tensors.size(), 3u);
  EXPECT_EQ(read.tensors[0].begin % 64, 0u);
  EXPECT_EQ(read.file_size, read.tensors[0].begin + 26);
  EXPECT_EQ(read.tensors[0].name, "w \"1\"");
  EXPECT_EQ(read.tensors[1].name, "é");
  std::vector<float> back(6);
  files.read(directory / "w.safetensors", read.tensors[0].begin, std::as_writable_bytes(std::span(back)));
  EXPECT_EQ(back, weight);
}

TEST(Safetensors, HeaderIsPaddedTo64Bytes) {
  for (int letters = 1; letters < 130; ++letters) {
    const std::byte byte{};
    const TensorBytes tensor{std::string(letters, 'n'), "U8", {1}, std::span(&byte, 1)};
    const std::string header = safetensors_header(std::span(&tensor, 1), {});
    EXPECT_EQ(header.size() % 64, 0u);
    EXPECT_EQ(parse(header + "x").tensors.at(0).name, tensor.name);
  }
}

constexpr std::size_t kDataBytes = 30;

/// Mutates by keyed draws: bytes overwritten, removed, doubled, digits exchanged, the file cut. Every second round
/// repairs the length of the header, so that the mutation gets past it.
std::string mutated(std::string file, std::uint64_t round) {
  const Draws draws(99, round, Purpose::kMadeData);
  const std::uint32_t changes = 1 + draws.bits(0) % 4;
  for (std::uint32_t i = 0; i < changes && !file.empty(); ++i) {
    const std::size_t at = draws.bits(8 * i + 1) % file.size();
    const auto letter = static_cast<char>(draws.bits(8 * i + 2));
    switch (draws.bits(8 * i + 3) % 6) {
      case 0:
        file[at] = letter;
        break;
      case 1:
        file.erase(at, 1 + draws.bits(8 * i + 4) % 8);
        break;
      case 2:
        file.insert(at, file.substr(draws.bits(8 * i + 4) % file.size(), 1 + draws.bits(8 * i + 5) % 40));
        break;
      case 3:
        file[at] = "0123456789{}[],:\"-e."[draws.bits(8 * i + 4) % 20];
        break;
      case 4:
        file.resize(at);
        break;
      default:
        file[at % std::min<std::size_t>(8, file.size())] = letter;
        break;
    }
  }
  if (round % 2 == 0 && file.size() >= 8 + kDataBytes) set_header_length(file, file.size() - 8 - kDataBytes);
  return file;
}

TEST(Safetensors, ForeignBytesAreReadOrRefusedButNeverCrash) {
  const std::string sound =
      file_of("{\"__metadata__\":{\"a\":\"b\"}," + entry("w", "F32", "2,3", "0,24") + "," +
                  entry("b", "BF16", "3", "24,30") + "," + entry("empty", "I64", "0", "30,30") + "}   ",
              kDataBytes);
  parse(sound);
  int read = 0, refused = 0;
  for (std::uint64_t round = 0; round < 30'000; ++round) {
    const std::string file = mutated(sound, round);
    try {
      const SafetensorsHeader header = parse(file);
      for (const TensorEntry& tensor : header.tensors) {
        ASSERT_LE(tensor.begin, tensor.end);
        ASSERT_LE(tensor.end, file.size());
      }
      ++read;
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), ExitCode::kInput);
      ++refused;
    }
  }
  EXPECT_GT(read, 1000);  // mutated names and data are still sound files
  EXPECT_GT(refused, 10'000);
}

}  // namespace
}  // namespace pathline::core
