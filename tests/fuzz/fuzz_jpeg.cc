// SPDX-License-Identifier: Apache-2.0
// JPEG files: grey, colour, CMYK; baseline and progressive.
#include "data/jpeg.h"

#include "tests/fuzz/pictures.h"
#include "tests/support/made_jpeg.h"

namespace pathline::fuzz {

namespace {

Bytes encoded(const data::Image& image, J_COLOR_SPACE space, bool progressive) {
  return bytes_of(tests::made_jpeg(image, space, {.set = [progressive](jpeg_compress_struct& jpeg) {
                                     jpeg_set_quality(&jpeg, 75, TRUE);
                                     if (progressive) jpeg_simple_progression(&jpeg);
                                     jpeg.restart_interval = progressive ? 0 : 1;
                                   }}));
}

}  // namespace

std::vector<Bytes> seeds() {
  std::vector<Bytes> made;
  for (const bool progressive : {false, true}) {
    made.push_back(encoded(small_picture(20, 17, 1), JCS_GRAYSCALE, progressive));
    made.push_back(encoded(small_picture(20, 17, 3), JCS_RGB, progressive));
    made.push_back(encoded(small_picture(20, 17, 4), JCS_CMYK, progressive));
  }
  return made;
}

}  // namespace pathline::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  pathline::fuzz::expect_answer(
      [&] { (void)pathline::data::decode_jpeg(std::as_bytes(std::span(data, size)), "input"); });
  return 0;
}
