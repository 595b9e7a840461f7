// SPDX-License-Identifier: Apache-2.0
// The filters of HDF5 chunks, undone without the library: shuffle, deflate, fletcher32 (HDF5 File Format Specification,
// "Filter Pipeline") and h5py's LZF. Safe to call from any number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/hdf5_chunks.h"

namespace pathline::data {

/// Names of the filters that decode_chunk() does not know, with commas between; empty if it knows them all.
std::string unknown_filters(const std::vector<hdf5::Filter>& filters);

/// Undoes `filters`, the last one first, but for those whose bit is set in `skipped`; the result must fill `out`
/// exactly. Throws ExitCode::kInput for bytes that are no such stream or fail their checksum; `what` names the chunk in
/// the message.
void decode_chunk(const std::vector<hdf5::Filter>& filters, std::uint32_t skipped, std::span<const std::byte> stored,
                  std::span<std::byte> out, const std::string& what);

}  // namespace pathline::data
