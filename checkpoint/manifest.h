// SPDX-License-Identifier: Apache-2.0
// What is in manifest.json, and the names beside it (docs/formats/checkpoint.md). Inside this folder and its tests
// only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "core/file_system.h"

namespace pathline::checkpoint {

inline constexpr std::uint64_t kVersion = 1;
inline constexpr std::uint64_t kPieceBytes = 1 << 20;
inline constexpr char kFormat[] = "pathline-checkpoint";
inline constexpr char kManifestName[] = "manifest.json";

/// Elements [offset, offset + count) of tensor number `tensor` lie in bytes [begin, end) of file number `file`.
struct Segment {
  std::uint64_t tensor = 0;
  std::uint64_t offset = 0;
  std::uint64_t count = 0;
  std::uint64_t file = 0;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

struct FileRecord {
  std::string name;
  std::uint64_t length = 0;
  std::vector<std::uint32_t> pieces;  // CRC32C of every 1 MiB from byte 0
};

struct Manifest {
  State state;
  std::uint64_t attempt = 0;
  std::uint64_t world_size = 1;
  std::vector<TensorRecord> tensors;
  std::vector<Segment> segments;  // by tensor, then offset
  std::vector<FileRecord> files;

  std::uint64_t data_bytes() const;
};

/// Number of elements; throws ExitCode::kInput for negative dimensions or more than 2^63 bytes.
std::uint64_t elements_of(const TensorRecord& tensor);

/// Sorts the segments and checks the tables against each other: no hole, no overlap, nothing outside its file.
/// Throws ExitCode::kInput; `where` (a path) begins the message.
void check_tables(Manifest& manifest, const std::string& where);

/// The whole file, its CRC included.
std::string manifest_text(const Manifest& manifest);
/// Throws ExitCode::kInput for whatever is wrong with `text`, which may be anything.
Manifest parse_manifest(std::string_view text, const std::string& where);
Manifest read_manifest(core::FileSystem& files, const std::string& directory);

/// A committed checkpoint directory of a step.
struct Committed {
  std::uint64_t step = 0;
  std::string directory;
};
/// Oldest first. A superseded directory is named where it stands in for its step.
std::vector<Committed> committed(core::FileSystem& files, const std::string& directory);

/// What the name of a directory entry says: step-N, step-N.superseded-K or something else.
struct StepName {
  bool is_step = false;
  std::uint64_t step = 0;
  std::uint64_t superseded = 0;  // 0: it is step-N itself
};
StepName parse_step_name(const std::string& name);
std::string step_name(std::uint64_t step);
/// The K of every superseded directory of `step`, ascending.
std::vector<std::uint64_t> superseded_of(core::FileSystem& files, const std::string& directory, std::uint64_t step);
std::string superseded_name(std::uint64_t step, std::uint64_t number);
bool has_manifest(core::FileSystem& files, const std::string& directory);

}  // namespace pathline::checkpoint
