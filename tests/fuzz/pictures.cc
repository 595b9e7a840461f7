// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/pictures.h"

#include <zlib.h>

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "data/import.h"
#include "tests/support/memory_file_system.h"

namespace pathline::fuzz {

namespace {

constexpr std::int64_t kMostPictures = 8;

}  // namespace

data::Image small_picture(std::int64_t height, std::int64_t width, std::int64_t channels) {
  data::Image image(height, width, channels);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<std::uint8_t>(i * 37 + i / 7);
  return image;
}

Bytes bytes_of(std::span<const std::byte> bytes) {
  const auto* begin = reinterpret_cast<const std::uint8_t*>(bytes.data());
  return {begin, begin + bytes.size()};
}

Bytes gzipped(const Bytes& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  Bytes out(deflateBound(&stream, bytes.size()));
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

Bytes tar(const std::vector<std::pair<std::string, Bytes>>& members) {
  Bytes archive;
  for (const auto& [name, content] : members) {
    Bytes header(512, 0);
    char size[12];
    std::snprintf(size, sizeof size, "%011zo", content.size());
    std::copy_n(name.begin(), std::min<std::size_t>(name.size(), 100), header.begin());
    std::copy_n(size, 11, header.begin() + 124);
    header[156] = name.ends_with('/') ? '5' : '0';
    std::copy_n("ustar", 5, header.begin() + 257);
    std::fill_n(header.begin() + 148, 8, ' ');
    char sum[8];
    std::snprintf(sum, sizeof sum, "%06o", std::accumulate(header.begin(), header.end(), 0u));
    std::copy_n(sum, 7, header.begin() + 148);
    archive.insert(archive.end(), header.begin(), header.end());
    archive.insert(archive.end(), content.begin(), content.end());
    archive.resize((archive.size() + 511) / 512 * 512, 0);
  }
  archive.resize(archive.size() + 1024, 0);
  return archive;
}

void import_from(core::FileSystem& files, const std::string& path) {
  const auto source = data::open_pictures(files, path, "");
  for (std::int64_t i = 0; i < std::min(source->count(), kMostPictures); ++i) {
    (void)source->label(i);
    expect_answer([&] { (void)source->picture(i); });
  }
}

int import_bytes(const std::string& name, const std::uint8_t* data, std::size_t size) {
  tests::MemoryFileSystem files;
  expect_answer([&] {
    core::replace_file(files, name, {reinterpret_cast<const char*>(data), size});
    import_from(files, name);
  });
  return 0;
}

}  // namespace pathline::fuzz
