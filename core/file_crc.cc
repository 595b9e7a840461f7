// SPDX-License-Identifier: Apache-2.0
#include "core/file_crc.h"

#include <cstdio>
#include <span>

#include "core/crc32c.h"

namespace pathline::core {

std::string crc_of_file(FileSystem& files, const std::string& path) {
  const std::string bytes = read_text(files, path);
  char text[16];
  std::snprintf(text, sizeof text, "%08x", crc32c(std::as_bytes(std::span(bytes))));
  return text;
}

}  // namespace pathline::core
