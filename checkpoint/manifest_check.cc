// SPDX-License-Identifier: Apache-2.0
// The tables of a manifest against each other, before it is written and after it was read.
#include <algorithm>
#include <limits>
#include <set>
#include <string_view>
#include <utility>

#include "checkpoint/manifest.h"
#include "core/error.h"
#include "core/safetensors.h"

namespace pathline::checkpoint {
namespace {

using core::ExitCode;

bool is_data_file_name(std::string_view name) {
  constexpr std::string_view kStart = "rank-", kEnd = ".safetensors";
  if (!name.starts_with(kStart) || !name.ends_with(kEnd) || name.size() <= kStart.size() + kEnd.size()) return false;
  const auto digits = name.substr(kStart.size(), name.size() - kStart.size() - kEnd.size());
  return digits.find_first_not_of("0123456789") == std::string_view::npos;
}

void check_files(const Manifest& manifest, const std::string& where) {
  std::set<std::string> names;
  for (const auto& file : manifest.files) {
    PL_CHECK(is_data_file_name(file.name) && names.insert(file.name).second, ExitCode::kInput, where,
             ": the file table names ", file.name, ", which is no rank-R.safetensors or there twice.");
    const std::uint64_t pieces = file.length / kPieceBytes + (file.length % kPieceBytes != 0);
    PL_CHECK(file.pieces.size() == pieces, ExitCode::kInput, where, ": ", file.name, " has ", file.length,
             " bytes but ", file.pieces.size(), " checksums of 1 MiB.");
  }
}

void check_tensors(const Manifest& manifest, const std::string& where) {
  std::set<std::pair<std::string, std::string>> names;
  for (const auto& tensor : manifest.tensors) {
    PL_CHECK(!tensor.kind.empty() && tensor.kind.find('/') == std::string::npos && !tensor.name.empty() &&
                 names.emplace(tensor.kind, tensor.name).second,
             ExitCode::kInput, where, ": the tensor table has ", tensor.kind, "/", tensor.name,
             " twice, or without a proper name.");
    elements_of(tensor);
  }
}

void check_segment(const Manifest& manifest, const Segment& s, const std::string& where) {
  const bool inside = s.tensor < manifest.tensors.size() && s.file < manifest.files.size() && s.count > 0 &&
                      s.begin <= s.end && s.end <= manifest.files[s.file].length;
  PL_CHECK(inside, ExitCode::kInput, where, ": a segment (tensor ", s.tensor, ", offset ", s.offset,
           ") lies outside of its tables or its file.");
  const std::uint64_t size = core::dtype_size(manifest.tensors[s.tensor].dtype);
  PL_CHECK((s.end - s.begin) % size == 0 && (s.end - s.begin) / size == s.count, ExitCode::kInput, where,
           ": a segment of ", manifest.tensors[s.tensor].name, " has ", s.count, " elements but ", s.end - s.begin,
           " bytes.");
}

}  // namespace

std::uint64_t elements_of(const TensorRecord& tensor) {
  std::uint64_t bytes = core::dtype_size(tensor.dtype);
  const std::uint64_t size = bytes;
  bool empty = false, fits = true;
  for (const std::int64_t dimension : tensor.shape) {
    empty = empty || dimension == 0;
    fits = fits && dimension >= 0;
    if (dimension > 0) fits = fits && !__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(dimension), &bytes);
  }
  PL_CHECK(fits && bytes <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()), ExitCode::kInput,
           "tensor ", tensor.kind, "/", tensor.name, " has a shape that no memory can hold.");
  return empty ? 0 : bytes / size;
}

void check_tables(Manifest& manifest, const std::string& where) {
  check_files(manifest, where);
  check_tensors(manifest, where);
  for (const auto& segment : manifest.segments) check_segment(manifest, segment, where);
  std::sort(manifest.segments.begin(), manifest.segments.end(), [](const Segment& a, const Segment& b) {
    return std::pair(a.tensor, a.offset) < std::pair(b.tensor, b.offset);
  });
  auto next = manifest.segments.begin();
  for (std::uint64_t t = 0; t < manifest.tensors.size(); ++t) {
    const TensorRecord& tensor = manifest.tensors[t];
    const std::uint64_t elements = elements_of(tensor);
    std::uint64_t covered = 0;
    for (; next != manifest.segments.end() && next->tensor == t; ++next) {
      PL_CHECK(next->offset == covered && next->count <= elements - covered, ExitCode::kInput, where,
               ": the segments of ", tensor.kind, "/", tensor.name, " leave a hole or overlap at element ",
               std::min(covered, next->offset), ".");
      covered += next->count;
    }
    PL_CHECK(covered == elements, ExitCode::kInput, where, ": the segments of ", tensor.kind, "/", tensor.name,
             " end at element ", covered, " of ", elements, ".");
  }
}

}  // namespace pathline::checkpoint
