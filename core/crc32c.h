// SPDX-License-Identifier: Apache-2.0
// CRC32C (Castagnoli, reflected polynomial 0x82F63B78; RFC 3720, appendix B.4), by the CPU's instruction where it has
// one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace pathline::core {

/// CRC of `bytes` after data whose CRC is `previous` (0 at the start).
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t previous = 0);

/// A CRC, or that of `bytes`, in eight hexadecimal digits, as files and records of Pathline write it.
std::string crc32c_digits(std::uint32_t crc);
std::string crc32c_digits(std::span<const std::byte> bytes);

/// crc32c() without the instruction, for tests.
std::uint32_t crc32c_by_tables(std::span<const std::byte> bytes, std::uint32_t previous = 0);

}  // namespace pathline::core
