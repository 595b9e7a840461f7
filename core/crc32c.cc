// SPDX-License-Identifier: Apache-2.0
// CRC32C by the SSE4.2 instruction in three interleaved streams (its latency is three cycles, its throughput one), and
// by tables elsewhere. Streams are joined by advancing a CRC over zero bytes, a linear map kept as four tables.
#include "core/crc32c.h"

#include <array>
#include <cstdio>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace pathline::core {
namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78;

using Table = std::array<std::uint32_t, 256>;

constexpr std::array<Table, 8> slicing_tables() {
  std::array<Table, 8> tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    for (int k = 1; k < 8; ++k) {
      tables[k][byte] = (tables[k - 1][byte] >> 8) ^ tables[0][tables[k - 1][byte] & 0xff];
    }
  }
  return tables;
}

constexpr std::array<Table, 8> kSlicing = slicing_tables();

std::uint32_t byte_step(std::uint32_t state, unsigned char byte) {
  return (state >> 8) ^ kSlicing[0][(state ^ byte) & 0xff];
}

/// Slicing by 8 (Kounavis and Berry 2005), one table a byte.
std::uint32_t by_tables(std::uint32_t state, const unsigned char* data, std::size_t size) {
  for (; size >= 8; data += 8, size -= 8) {
    const std::uint32_t low = state ^ (data[0] | data[1] << 8 | data[2] << 16 | std::uint32_t{data[3]} << 24);
    state = kSlicing[7][low & 0xff] ^ kSlicing[6][(low >> 8) & 0xff] ^ kSlicing[5][(low >> 16) & 0xff] ^
            kSlicing[4][low >> 24] ^ kSlicing[3][data[4]] ^ kSlicing[2][data[5]] ^ kSlicing[1][data[6]] ^
            kSlicing[0][data[7]];
  }
  for (; size > 0; ++data, --size) state = byte_step(state, *data);
  return state;
}

#if defined(__x86_64__)

// Bytes of each of the three streams. Streams much shorter than a page defeat the prefetcher: from memory the long ones
// are three times as fast. The short ones take what is left.
constexpr std::size_t kLongStream = 64 << 10, kShortStream = 1 << 10;

/// state -> state after some zero bytes, by the four bytes of the state.
using Skip = std::array<Table, 4>;

std::uint32_t skipped(const Skip& skip, std::uint32_t state) {
  return skip[0][state & 0xff] ^ skip[1][(state >> 8) & 0xff] ^ skip[2][(state >> 16) & 0xff] ^ skip[3][state >> 24];
}

/// `times` applications of `step` as one.
template <class Step>
Skip repeated(std::size_t times, const Step& step) {
  Skip skip{};
  for (int place = 0; place < 4; ++place) {
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
      std::uint32_t state = byte << (8 * place);
      for (std::size_t i = 0; i < times; ++i) state = step(state);
      skip[place][byte] = state;
    }
  }
  return skip;
}

const Skip& short_skip() {
  static const Skip skip = repeated(kShortStream, [](std::uint32_t state) { return byte_step(state, 0); });
  return skip;
}

const Skip& long_skip() {
  static const Skip skip =
      repeated(kLongStream / kShortStream, [](std::uint32_t state) { return skipped(short_skip(), state); });
  return skip;
}

std::uint64_t word_at(const unsigned char* data) {
  std::uint64_t word;
  std::memcpy(&word, data, sizeof word);
  return word;
}

/// Takes as many triples of streams as there are from the front of the data.
template <std::size_t kStream>
__attribute__((target("sse4.2"))) std::uint32_t by_streams(std::uint32_t state, const Skip& skip,
                                                           const unsigned char*& data, std::size_t& size) {
  for (; size >= 3 * kStream; data += 3 * kStream, size -= 3 * kStream) {
    std::uint64_t a = state, b = 0, c = 0;
    for (std::size_t i = 0; i < kStream; i += 8) {
      a = _mm_crc32_u64(a, word_at(data + i));
      b = _mm_crc32_u64(b, word_at(data + kStream + i));
      c = _mm_crc32_u64(c, word_at(data + 2 * kStream + i));
    }
    state = skipped(skip, static_cast<std::uint32_t>(a)) ^ static_cast<std::uint32_t>(b);
    state = skipped(skip, state) ^ static_cast<std::uint32_t>(c);
  }
  return state;
}

__attribute__((target("sse4.2"))) std::uint32_t by_instruction(std::uint32_t state, const unsigned char* data,
                                                               std::size_t size) {
  if (size >= 3 * kLongStream) state = by_streams<kLongStream>(state, long_skip(), data, size);
  if (size >= 3 * kShortStream) state = by_streams<kShortStream>(state, short_skip(), data, size);
  std::uint64_t wide = state;
  for (; size >= 8; data += 8, size -= 8) wide = _mm_crc32_u64(wide, word_at(data));
  state = static_cast<std::uint32_t>(wide);
  for (; size > 0; ++data, --size) state = _mm_crc32_u8(state, *data);
  return state;
}

bool has_instruction() {
  static const bool found = __builtin_cpu_supports("sse4.2");
  return found;
}

#endif

}  // namespace

std::uint32_t crc32c_by_tables(std::span<const std::byte> bytes, std::uint32_t previous) {
  return ~by_tables(~previous, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t previous) {
#if defined(__x86_64__)
  if (has_instruction()) {
    return ~by_instruction(~previous, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  }
#endif
  return crc32c_by_tables(bytes, previous);
}

std::string crc32c_digits(std::uint32_t crc) {
  char digits[9];
  std::snprintf(digits, sizeof digits, "%08x", crc);
  return digits;
}

std::string crc32c_digits(std::span<const std::byte> bytes) { return crc32c_digits(crc32c(bytes)); }

}  // namespace pathline::core
