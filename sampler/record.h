// SPDX-License-Identifier: Apache-2.0
// A finished sample as files hold it (docs/formats/generated-sets.md). No LibTorch from here to the sinks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pathline::sampler {

enum class SampleStatus : std::uint8_t { kEmpty = 0, kDone = 1, kFailed = 2 };

struct Record {
  std::int64_t id = 0;
  std::int64_t label = -1;    // -1: none
  std::int64_t nfe = 0;       // network forward passes
  std::int64_t rejected = 0;  // steps
  SampleStatus status = SampleStatus::kDone;
  /// uint8 (H, W, C); float32 (D); a latent, float16 (C, h, w); or a PNG file. Behind it, where asked for, the
  /// trajectory (to_record()), then features; or the noise that it was encoded into (to_encoded_record()).
  std::vector<std::byte> item;
};

/// Ids [first, last).
struct IdRange {
  std::int64_t first = 0, last = 0;
  std::int64_t count() const { return last - first; }
  bool operator==(const IdRange&) const = default;
};

/// The ids of `all` that lie in none of `made` (any order, may overlap), as few ranges as possible, ascending. Pure.
std::vector<IdRange> missing_ranges(IdRange all, std::vector<IdRange> made);

}  // namespace pathline::sampler
