// SPDX-License-Identifier: Apache-2.0
// CRC32C by the SSE4.2 instruction in three interleaved streams (its latency is three cycles, its throughput one), and
// by tables elsewhere. Streams are joined by advancing a CRC over zero bytes, a linear map kept as four tables.
#include "core/crc32c.h"

#include <array>
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

constexpr std::size_t kStream = 1024;  // bytes of each of the three streams

/// state -> state after kStream zero bytes, by the four bytes of the state.
std::array<Table, 4> make_skip_tables() {
  std::array<Table, 4> tables{};
  for (int place = 0; place < 4; ++place) {
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
      std::uint32_t state = byte << (8 * place);
      for (std::size_t i = 0; i < kStream; ++i) state = byte_step(state, 0);
      tables[place][byte] = state;
    }
  }
  return tables;
}

std::uint32_t skip_stream(const std::array<Table, 4>& tables, std::uint32_t state) {
  return tables[0][state & 0xff] ^ tables[1][(state >> 8) & 0xff] ^ tables[2][(state >> 16) & 0xff] ^
         tables[3][state >> 24];
}

std::uint64_t word_at(const unsigned char* data) {
  std::uint64_t word;
  std::memcpy(&word, data, sizeof word);
  return word;
}

__attribute__((target("sse4.2"))) std::uint32_t by_instruction(std::uint32_t state, const unsigned char* data,
                                                               std::size_t size) {
  static const std::array<Table, 4> skip = make_skip_tables();
  for (; size >= 3 * kStream; data += 3 * kStream, size -= 3 * kStream) {
    std::uint64_t a = state, b = 0, c = 0;
    for (std::size_t i = 0; i < kStream; i += 8) {
      a = _mm_crc32_u64(a, word_at(data + i));
      b = _mm_crc32_u64(b, word_at(data + kStream + i));
      c = _mm_crc32_u64(c, word_at(data + 2 * kStream + i));
    }
    state = skip_stream(skip, static_cast<std::uint32_t>(a)) ^ static_cast<std::uint32_t>(b);
    state = skip_stream(skip, state) ^ static_cast<std::uint32_t>(c);
  }
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

}  // namespace pathline::core
