// SPDX-License-Identifier: Apache-2.0
#include "data/chunk_filters.h"

#include <libdeflate.h>

#include <cstring>
#include <memory>

#include "core/error.h"
#include "data/little_endian.h"

namespace pathline::data {

namespace {

using core::ExitCode;
using Bytes = std::vector<std::byte>;

// Registered numbers: 1 to 6 are the library's own, the others from the list of the HDF Group.
enum Id { kDeflate = 1, kShuffle = 2, kFletcher32 = 3, kLzf = 32000 };

struct Named {
  int id;
  const char* name;
};
constexpr Named kOthers[] = {{4, "szip"},          {5, "n-bit"},     {6, "scale-offset"},   {307, "bzip2"},
                             {32001, "Blosc"},     {32004, "LZ4"},   {32008, "bitshuffle"}, {32013, "ZFP"},
                             {32015, "Zstandard"}, {32026, "Blosc2"}};

void check(bool good, const char* why, const std::string& what) {
  PL_CHECK(good, ExitCode::kInput, what, " cannot be decoded (", why,
           "). The file is damaged; copy or import it again.");
}

/// libdeflate's state, made once a thread: most chunks are small. It knows the whole chunk and its size beforehand, and
/// is twice to three times as fast as zlib, which is made for streams.
class Inflater {
 public:
  Inflater() : state_(libdeflate_alloc_decompressor()) {
    PL_CHECK(state_, ExitCode::kEnvironment, "libdeflate ", LIBDEFLATE_VERSION_STRING,
             " cannot start. Look for memory.");
  }

  /// A whole zlib stream of at most out.size() bytes; how many it had, or nothing good.
  std::size_t run(std::span<const std::byte> in, std::span<std::byte> out, const std::string& what) {
    std::size_t made = 0;
    const auto end = libdeflate_zlib_decompress(state_.get(), in.data(), in.size(), out.data(), out.size(), &made);
    check(end != LIBDEFLATE_INSUFFICIENT_SPACE, "its deflated bytes go on too long", what);
    check(end == LIBDEFLATE_SUCCESS, "its deflated bytes end early or are others", what);
    return made;
  }

 private:
  struct Free {
    void operator()(libdeflate_decompressor* state) const { libdeflate_free_decompressor(state); }
  };
  std::unique_ptr<libdeflate_decompressor, Free> state_;
};

/// Byte b of all elements lies together; what is left behind the last whole element is as it was.
void unshuffle(std::span<const std::byte> in, std::size_t element, std::span<std::byte> out) {
  const std::size_t count = in.size() / element;
  for (std::size_t b = 0; b < element; ++b) {
    const std::byte* from = in.data() + b * count;
    std::byte* to = out.data() + b;
    for (std::size_t i = 0; i < count; ++i) to[i * element] = from[i];
  }
  std::memcpy(out.data() + count * element, in.data() + count * element, in.size() - count * element);
}

/// Fletcher's checksum over 16-bit words, the high byte first; an odd last byte is a high one.
std::uint32_t fletcher32(std::span<const std::byte> bytes) {
  constexpr std::size_t kSafe = 360;  // words before 32 bits could overflow
  std::uint32_t a = 0, b = 0;
  const auto add = [&](std::uint32_t word) { b += a += word; };
  const auto fold = [&] { a = (a & 0xffff) + (a >> 16), b = (b & 0xffff) + (b >> 16); };
  const auto byte = [&](std::size_t i) { return std::to_integer<std::uint32_t>(bytes[i]); };
  const std::size_t words = bytes.size() / 2;
  for (std::size_t i = 0; i < words;) {
    for (const std::size_t end = std::min(words, i + kSafe); i < end; ++i) add(byte(2 * i) << 8 | byte(2 * i + 1));
    fold();
  }
  if (bytes.size() % 2 != 0) {
    add(byte(bytes.size() - 1) << 8);
    fold();
  }
  fold();
  return b << 16 | a;
}

/// The bytes in front of their checksum. Libraries before 1.6.3 stored it with the bytes of its halves exchanged.
std::span<const std::byte> unchecked(std::span<const std::byte> in, const std::string& what) {
  check(in.size() >= 4, "it is shorter than its checksum", what);
  const std::span<const std::byte> bytes = in.first(in.size() - 4);
  const std::uint64_t stored = little_endian(in, bytes.size(), 4);
  const std::uint32_t found = fletcher32(bytes);
  const std::uint32_t exchanged = (found & 0x00ff00ff) << 8 | (found >> 8 & 0x00ff00ff);
  check(stored == found || stored == exchanged, "its checksum is another", what);
  return bytes;
}

/// LibLZF's format: a control byte c < 32 precedes c + 1 literal bytes; any other begins a copy of (c >> 5) + 2 bytes
/// (7 and a further byte: more) from 1 + (13 bits) back.
std::size_t unlzf(std::span<const std::byte> in, std::span<std::byte> out, const std::string& what) {
  std::size_t at = 0, made = 0;
  const auto next = [&] {
    check(at < in.size(), "its LZF bytes end early", what);
    return std::to_integer<std::size_t>(in[at++]);
  };
  while (at < in.size()) {
    const std::size_t control = next();
    if (control < 32) {
      const std::size_t count = control + 1;
      check(count <= in.size() - at && count <= out.size() - made, "its LZF bytes end early or go on too long", what);
      std::memcpy(out.data() + made, in.data() + at, count);
      at += count, made += count;
      continue;
    }
    std::size_t count = control >> 5;
    if (count == 7) count += next();
    count += 2;
    const std::size_t back = ((control & 31) << 8 | next()) + 1;
    check(back <= made && count <= out.size() - made, "its LZF bytes point outside", what);
    for (; count > 0; --count, ++made) out[made] = out[made - back];  // may overlap what it makes
  }
  return made;
}

/// The most bytes that may lie between two filters: a chunk and its checksum.
std::size_t room_for(std::span<const std::byte> out) { return out.size() + 4; }

}  // namespace

std::string unknown_filters(const std::vector<hdf5::Filter>& filters) {
  std::string names;
  for (const hdf5::Filter& filter : filters) {
    const bool shuffles = filter.id == kShuffle && !filter.parameters.empty() && filter.parameters[0] > 0;
    if (filter.id == kDeflate || shuffles || filter.id == kFletcher32 || filter.id == kLzf) continue;
    std::string name = core::concat("filter ", filter.id);
    for (const Named& other : kOthers) {
      if (other.id == filter.id) name = other.name;
    }
    names += (names.empty() ? "" : ", ") + name;
  }
  return names;
}

void decode_chunk(const std::vector<hdf5::Filter>& filters, std::uint32_t skipped, std::span<const std::byte> stored,
                  std::span<std::byte> out, const std::string& what) {
  thread_local Inflater inflater;
  thread_local Bytes rooms[2];
  std::span<const std::byte> now = stored;
  std::size_t left = 0;
  for (std::size_t i = 0; i < filters.size(); ++i) left += (skipped >> i & 1) == 0;
  int room = 0;
  for (std::size_t i = filters.size(); i-- > 0;) {
    if ((skipped >> i & 1) != 0) continue;
    const int id = filters[i].id;
    if (id == kFletcher32) {
      now = unchecked(now, what);
      --left;
      continue;
    }
    std::span<std::byte> to = out;
    if (--left > 0) {  // not the last one
      rooms[room].resize(room_for(out));
      to = rooms[room];
      room = 1 - room;
    }
    std::size_t made = now.size();
    if (id == kDeflate) {
      made = inflater.run(now, to, what);
    } else if (id == kLzf) {
      made = unlzf(now, to, what);
    } else {
      check(now.size() <= to.size(), "it is too long", what);
      unshuffle(now, filters[i].parameters[0], to);
    }
    now = to.first(made);
  }
  check(now.size() == out.size(), "it has another size than its chunk", what);
  if (now.data() != out.data()) std::memcpy(out.data(), now.data(), out.size());
}

}  // namespace pathline::data
