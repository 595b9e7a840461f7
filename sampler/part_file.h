// SPDX-License-Identifier: Apache-2.0
// One part of a set that is being made (docs/formats/generated-sets.md, "Parts").
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/file_system.h"
#include "sampler/record.h"

namespace pathline::sampler {

/// The bytes of a part: `records` are those of ids range.first, range.first + 1, ... range.last - 1.
std::vector<std::byte> encode_part(std::uint64_t job, IdRange range, std::span<const Record> records);

/// The records of a part, after a check of every byte. Throws ExitCode::kInput naming `path` if it is damaged, of
/// another job or of another range.
std::vector<Record> decode_part(std::span<const std::byte> bytes, std::uint64_t job, IdRange range,
                                const std::string& path);

}  // namespace pathline::sampler
