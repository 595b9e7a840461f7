// SPDX-License-Identifier: Apache-2.0
// JPEG files written with libjpeg: the library itself has no encoder. Needs libjpeg.
#pragma once

#include <cstddef>
#include <cstdio>  // before jpeglib.h, which needs FILE
#include <cstdlib>
#include <functional>
#include <vector>

#include <jpeglib.h>

#include "data/image.h"

namespace pathline::tests {

struct JpegSteps {
  std::function<void(jpeg_compress_struct&)> set = [](auto&) {};    // after the defaults, of the best quality
  std::function<void(jpeg_compress_struct&)> begin = [](auto&) {};  // before the pixels: markers
};

inline std::vector<std::byte> made_jpeg(const data::Image& image, J_COLOR_SPACE space, const JpegSteps& steps = {}) {
  jpeg_compress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &memory, &size);
  jpeg.image_height = static_cast<JDIMENSION>(image.height);
  jpeg.image_width = static_cast<JDIMENSION>(image.width);
  jpeg.input_components = static_cast<int>(image.channels);
  jpeg.in_color_space = space;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 100, TRUE);
  steps.set(jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  steps.begin(jpeg);
  while (jpeg.next_scanline < jpeg.image_height) {
    auto* row = const_cast<JSAMPLE*>(&image.pixels[jpeg.next_scanline * image.width * image.channels]);
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  const auto* bytes = reinterpret_cast<std::byte*>(memory);
  std::vector<std::byte> file(bytes, bytes + size);
  std::free(memory);
  return file;
}

}  // namespace pathline::tests
