// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/file_system.h"

namespace pathline::core {

/// The CRC32C of a file's bytes in eight hexadecimal digits: tells files apart, whatever they are called.
std::string crc_of_file(FileSystem& files, const std::string& path);

}  // namespace pathline::core
