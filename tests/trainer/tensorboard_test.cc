// SPDX-License-Identifier: Apache-2.0
#include "trainer/tensorboard.h"

#include <gtest/gtest.h>

#include <cstring>

namespace pathline::trainer {
namespace {

std::string hex(const std::string& bytes) {
  std::string text;
  char digits[3];
  for (const unsigned char byte : bytes) {
    std::snprintf(digits, sizeof(digits), "%02x", byte);
    text += digits;
  }
  return text;
}

TEST(TfRecordFrame, MasksBothChecksums) {
  // Length 3; CRC32C of the eight length bytes and of "abc", each rotated right by 15 and offset by 0xa282ead8. The
  // masked values were computed bit by bit from the polynomial, apart from this code.
  EXPECT_EQ(hex(tfrecord_frame("abc")).substr(0, 16), "0300000000000000");
  EXPECT_EQ(hex(tfrecord_frame("abc")).substr(24, 6), "616263");
  EXPECT_EQ(tfrecord_frame("abc").size(), 8u + 4 + 3 + 4);
  std::uint32_t masked = 0;
  std::memcpy(&masked, tfrecord_frame("abc").data() + 15, 4);
  const std::uint32_t rotated = masked - 0xa282ead8u;
  EXPECT_EQ((rotated >> 17) | (rotated << 15), 0x364b3fb7u);  // CRC32C("abc")
}

TEST(ScalarEvent, IsTheProtocolBufferThatTensorBoardReads) {
  // field 1 double 1.0; field 2 varint 300; field 5 { field 1 { field 1 "a", field 2 float 0.5 } }
  EXPECT_EQ(hex(scalar_event(300, 1.0, {{"a", 0.5}})),
            "09000000000000f03f"
            "10ac02"
            "2a0a"
            "0a08"
            "0a0161"
            "150000003f");
}

}  // namespace
}  // namespace pathline::trainer
