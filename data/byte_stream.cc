// SPDX-License-Identifier: Apache-2.0
#include "data/byte_stream.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "core/error.h"

namespace pathline::data {
namespace {

using core::ExitCode;

constexpr std::size_t kPiece = std::size_t{1} << 18;

class FileRange final : public ByteStream {
 public:
  FileRange(core::FileSystem& files, std::string path, std::uint64_t offset, std::uint64_t length)
      : files_(files), path_(std::move(path)), next_(offset), end_(offset + length) {}

  std::size_t read(std::span<std::byte> out) override {
    const std::size_t wanted = out.size();
    while (!out.empty() && !(held().empty() && next_ == end_)) {
      if (held().empty()) fill();
      const auto piece = held().first(std::min(out.size(), held().size()));
      std::memcpy(out.data(), piece.data(), piece.size());
      begin_ += piece.size();
      out = out.subspan(piece.size());
    }
    return wanted - out.size();
  }

 private:
  std::span<const std::byte> held() const { return std::span<const std::byte>(buffer_).subspan(begin_); }

  void fill() {
    buffer_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, end_ - next_)));
    files_.read(path_, next_, buffer_);
    next_ += buffer_.size();
    begin_ = 0;
  }

  core::FileSystem& files_;
  std::string path_;
  std::uint64_t next_, end_;
  std::vector<std::byte> buffer_;
  std::size_t begin_ = 0;
};

class Unpacked final : public ByteStream {
 public:
  Unpacked(std::unique_ptr<ByteStream> packed, Packing packing, std::string origin)
      : packed_(std::move(packed)), packing_(packing), origin_(std::move(origin)), buffer_(kPiece) {
    const int window = packing == Packing::kGzip ? 16 + MAX_WBITS : -MAX_WBITS;
    PL_CHECK(inflateInit2(&zlib_, window) == Z_OK, ExitCode::kEnvironment, "zlib could not be started: out of memory.");
  }
  ~Unpacked() override { inflateEnd(&zlib_); }

  std::size_t read(std::span<std::byte> out) override {
    std::size_t given = 0;
    while (given < out.size() && !ended_) {
      const auto room = std::min<std::size_t>(out.size() - given, std::numeric_limits<uInt>::max());
      zlib_.next_out = reinterpret_cast<Bytef*>(out.data() + given);
      zlib_.avail_out = static_cast<uInt>(room);
      advance();
      given += room - zlib_.avail_out;
    }
    return given;
  }

 private:
  void advance() {
    if (zlib_.avail_in == 0) refill();
    const int result = inflate(&zlib_, Z_NO_FLUSH);
    if (result == Z_STREAM_END) return end_of_member();
    // Without input or progress zlib says Z_BUF_ERROR: the packed bytes ended before the data did.
    PL_CHECK(result == Z_OK, ExitCode::kInput, origin_,
             " cannot be unpacked: ", zlib_.msg ? zlib_.msg : "the packed data end too early",
             ". Fetch or copy the file again.");
  }

  void end_of_member() {
    if (zlib_.avail_in == 0) refill();
    ended_ = packing_ != Packing::kGzip || zlib_.avail_in == 0;
    if (!ended_) inflateReset(&zlib_);
  }

  void refill() {
    zlib_.next_in = reinterpret_cast<Bytef*>(buffer_.data());
    zlib_.avail_in = static_cast<uInt>(packed_->read(buffer_));
  }

  std::unique_ptr<ByteStream> packed_;
  Packing packing_;
  std::string origin_;
  std::vector<std::byte> buffer_;
  z_stream zlib_{};
  bool ended_ = false;
};

/// All that is left, but not much more than `most`.
std::vector<std::byte> read_up_to(ByteStream& stream, std::uint64_t most) {
  std::vector<std::byte> bytes;
  for (std::size_t size = 0; size <= most; size = bytes.size()) {
    bytes.resize(size + std::max(kPiece, size / 2));
    const std::size_t got = stream.read(std::span(bytes).subspan(size));
    const bool ended = size + got < bytes.size();
    bytes.resize(size + got);
    if (ended) break;
  }
  return bytes;
}

}  // namespace

std::unique_ptr<ByteStream> file_range(core::FileSystem& files, const std::string& path, std::uint64_t offset,
                                       std::uint64_t length) {
  return std::make_unique<FileRange>(files, path, offset, length);
}

std::unique_ptr<ByteStream> unpacked(std::unique_ptr<ByteStream> packed, Packing packing, const std::string& origin) {
  return std::make_unique<Unpacked>(std::move(packed), packing, origin);
}

std::unique_ptr<ByteStream> open_bytes(core::FileSystem& files, const std::string& path) {
  const std::uint64_t size = files.size(path);
  std::array<std::byte, 2> magic{};
  if (size >= magic.size()) files.read(path, 0, magic);
  auto stream = file_range(files, path, 0, size);
  const bool gzip = magic[0] == std::byte{0x1f} && magic[1] == std::byte{0x8b};
  return gzip ? unpacked(std::move(stream), Packing::kGzip, path) : std::move(stream);
}

std::vector<std::byte> read_all(ByteStream& stream) { return read_up_to(stream, SIZE_MAX); }

std::vector<std::byte> read_announced(ByteStream& stream, std::uint64_t bytes, const std::string& origin) {
  std::vector<std::byte> all = read_up_to(stream, bytes);
  PL_CHECK(all.size() == bytes, ExitCode::kInput, origin, " holds ", all.size() > bytes ? "at least " : "", all.size(),
           " bytes where ", bytes, " are announced. Fetch or copy the file again.");
  return all;
}

void read_exactly(ByteStream& stream, std::span<std::byte> out, const std::string& origin) {
  const std::size_t got = stream.read(out);
  PL_CHECK(got == out.size(), ExitCode::kInput, origin, " ends too early: ", got, " bytes where ", out.size(),
           " were announced. Fetch or copy the file again.");
}

}  // namespace pathline::data
