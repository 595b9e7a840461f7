// SPDX-License-Identifier: Apache-2.0
// What the targets share that import pictures.
#pragma once

#include <string>
#include <utility>

#include "core/file_system.h"
#include "data/image.h"
#include "tests/fuzz/fuzz.h"

namespace pathline::fuzz {

/// A small picture with a little of everything.
data::Image small_picture(std::int64_t height, std::int64_t width, std::int64_t channels);

Bytes bytes_of(std::span<const std::byte> bytes);
Bytes gzipped(const Bytes& bytes);
/// One after the other, as members of a ustar archive; a name that ends in '/' is a folder.
Bytes tar(const std::vector<std::pair<std::string, Bytes>>& members);

/// Opens the file as `pathline data import` does, and decodes its first pictures.
void import_from(core::FileSystem& files, const std::string& path);
/// The same of a file in memory.
int import_bytes(const std::string& name, const std::uint8_t* data, std::size_t size);

}  // namespace pathline::fuzz
