// SPDX-License-Identifier: Apache-2.0
// safetensors files: u64 little-endian header length, JSON header, tensor bytes without gaps. Without LibTorch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/file_system.h"

namespace pathline::core {

/// One tensor of a file. `dtype` as the format spells it ("F32", "BF16", "F16", "I64", "U8" ...).
struct TensorEntry {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;  // bytes from the start of the file
  std::uint64_t end = 0;
};

/// Bytes of one element; throws ExitCode::kInput for a dtype that the format does not know.
std::uint64_t dtype_size(const std::string& dtype);

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;  // in file order
  std::map<std::string, std::string> metadata;
  std::uint64_t file_size = 0;
};

/// Reads and checks the header against the file's size: names unique, ranges tile the data, shapes match lengths.
/// Throws ExitCode::kInput naming path and tensor.
SafetensorsHeader read_safetensors_header(FileSystem& files, const std::string& path);
/// The same from bytes; `file_size` is the size of the whole file. For tests and fuzzing.
SafetensorsHeader parse_safetensors_header(std::span<const std::byte> start_of_file, std::uint64_t file_size,
                                           const std::string& path);

/// A tensor to be written; `bytes` is not owned and must live until the write returns.
struct TensorBytes {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;
};

/// The header (with its length field) for tensors written one after the other in this order, padded with spaces to a
/// multiple of 64 bytes.
std::string safetensors_header(std::span<const TensorBytes> tensors,
                               const std::map<std::string, std::string>& metadata);

/// Header and tensors appended to an open file. The caller syncs and closes.
void write_safetensors(WritableFile& file, std::span<const TensorBytes> tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace pathline::core
