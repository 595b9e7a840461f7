// SPDX-License-Identifier: Apache-2.0
// Numbers inside foreign bytes, read with bounds, and appended to own ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pathline::data {

/// The unsigned number of `width` bytes at `at`, least significant byte first. The caller has checked the bounds.
inline std::uint64_t little_endian(std::span<const std::byte> bytes, std::size_t at, int width) {
  std::uint64_t value = 0;
  for (int i = width - 1; i >= 0; --i) value = value << 8 | std::to_integer<std::uint64_t>(bytes[at + i]);
  return value;
}

inline std::uint64_t big_endian(std::span<const std::byte> bytes, std::size_t at, int width) {
  std::uint64_t value = 0;
  for (int i = 0; i < width; ++i) value = value << 8 | std::to_integer<std::uint64_t>(bytes[at + i]);
  return value;
}

inline void put_little_endian(std::vector<std::byte>& out, std::uint64_t value, int width) {
  for (int i = 0; i < width; ++i) out.push_back(static_cast<std::byte>(value >> (8 * i) & 0xff));
}

}  // namespace pathline::data
