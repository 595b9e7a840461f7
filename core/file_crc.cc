// SPDX-License-Identifier: Apache-2.0
#include "core/file_crc.h"

#include <span>

#include "core/crc32c.h"

namespace pathline::core {

std::string crc_of_file(FileSystem& files, const std::string& path) {
  const std::string bytes = read_text(files, path);
  return crc32c_digits(std::as_bytes(std::span(bytes)));
}

}  // namespace pathline::core
