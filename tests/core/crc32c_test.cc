// SPDX-License-Identifier: Apache-2.0
#include "core/crc32c.h"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

#include "core/random.h"

namespace pathline::core {
namespace {

std::vector<std::byte> keyed_bytes(std::size_t size) {
  const Draws draws(11, 0, Purpose::kMadeData);
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(draws.bits(i));
  return bytes;
}

std::uint32_t crc_of(std::string_view text) { return crc32c(std::as_bytes(std::span(text))); }

TEST(Crc32c, GivesTheValuesOfRfc3720) {
  std::vector<std::byte> bytes(32, std::byte{0});
  EXPECT_EQ(crc32c(bytes), 0x8a9136aau);
  bytes.assign(32, std::byte{0xff});
  EXPECT_EQ(crc32c(bytes), 0x62a8ab43u);
  for (int i = 0; i < 32; ++i) bytes[i] = static_cast<std::byte>(i);
  EXPECT_EQ(crc32c(bytes), 0x46dd794eu);
  for (int i = 0; i < 32; ++i) bytes[i] = static_cast<std::byte>(31 - i);
  EXPECT_EQ(crc32c(bytes), 0x113fdb5cu);
  EXPECT_EQ(crc_of("123456789"), 0xe3069283u);
  EXPECT_EQ(crc_of(""), 0u);
}

/// One bit at a time, straight from the definition.
std::uint32_t by_bits(std::span<const std::byte> bytes) {
  std::uint32_t state = ~0u;
  for (const std::byte byte : bytes) {
    state ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) state = (state >> 1) ^ ((state & 1) ? 0x82F63B78u : 0);
  }
  return ~state;
}

TEST(Crc32c, AgreesWithTheDefinitionForEveryWayOfComputing) {
  const auto bytes = keyed_bytes(20'000);
  for (const std::size_t size : {0, 1, 7, 8, 9, 63, 1023, 3071, 3072, 3073, 6144, 9999, 19'990}) {
    for (const std::size_t begin : {0, 1, 3, 8}) {
      const auto part = std::span(bytes).subspan(begin, size);
      EXPECT_EQ(crc32c(part), by_bits(part)) << size << " from " << begin;
      EXPECT_EQ(crc32c_by_tables(part), by_bits(part)) << size << " from " << begin;
    }
  }
}

TEST(Crc32c, AgreesWithTheDefinitionForLargeBlocks) {
  const auto bytes = keyed_bytes(1 << 20);
  for (const std::size_t size : {196'607, 196'608, 196'609, 393'216, 399'365, 1 << 20}) {
    EXPECT_EQ(crc32c(std::span(bytes).first(size)), by_bits(std::span(bytes).first(size))) << size;
  }
}

TEST(Crc32c, ContinuesWhereAnotherPieceEnded) {
  const auto bytes = keyed_bytes(10'000);
  const std::uint32_t whole = crc32c(bytes);
  for (const std::size_t cut : {0, 1, 13, 3072, 5000, 9999, 10'000}) {
    EXPECT_EQ(crc32c(std::span(bytes).subspan(cut), crc32c(std::span(bytes).first(cut))), whole);
  }
}

TEST(Crc32c, NoticesEveryFlippedBit) {
  auto bytes = keyed_bytes(200);
  const std::uint32_t whole = crc32c(bytes);
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] ^= std::byte{1} << bit % 8;
    EXPECT_NE(crc32c(bytes), whole) << bit;
    bytes[bit / 8] ^= std::byte{1} << bit % 8;
  }
}

}  // namespace
}  // namespace pathline::core
