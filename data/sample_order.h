// SPDX-License-Identifier: Apache-2.0
// The order of samples: position -> sample, stateless. Position counts samples since the start of training; epoch
// e = position / N, place p = position mod N, sample = P(seed, e)(p) with P a keyed bijection on [0, N): a balanced
// Feistel network over the next power of four, cycle-walking outside [0, N). Every epoch visits every sample once; no
// permutation array, no padding, no dropping. Specified in docs/formats/random.md.
#pragma once

#include <cstdint>
#include <span>

#include "core/random.h"

namespace pathline::data {

/// One keyed bijection on [0, count).
class KeyedBijection {
 public:
  KeyedBijection(std::uint64_t seed, std::uint64_t index, std::uint32_t purpose, std::uint64_t count);
  std::uint64_t operator()(std::uint64_t place) const;
  /// Every place of `values` becomes its value: many at once, in vectors.
  void apply(std::span<std::uint64_t> values) const;

 private:
  std::uint64_t seed_, index_, count_;
  std::uint32_t purpose_;
  int half_bits_;
};

class SampleOrder {
 public:
  /// `purpose`: another one for a second data set of the same run.
  SampleOrder(std::uint64_t seed, std::int64_t count, core::Purpose purpose = core::Purpose::kSampleOrder);
  std::int64_t sample(std::uint64_t position) const;
  /// Those of positions first, first + 1, ...
  void samples(std::uint64_t first, std::span<std::int64_t> out) const;
  std::uint64_t epoch(std::uint64_t position) const;

 private:
  std::uint64_t seed_;
  std::uint64_t count_;
  core::Purpose purpose_;
};

/// Which samples are held out for validation: a keyed choice of `held_out` of `count`, the same on every start.
class HoldOut {
 public:
  HoldOut(std::uint64_t seed, std::int64_t count, std::int64_t held_out);
  std::int64_t training_count() const;
  std::int64_t held_out_count() const;
  std::int64_t training_sample(std::int64_t i) const;  // i in [0, training_count())
  /// Every number in `values` becomes the training sample of that number.
  void training_samples(std::span<std::int64_t> values) const;
  std::int64_t held_out_sample(std::int64_t i) const;  // i in [0, held_out_count())

 private:
  KeyedBijection choice_;
  std::int64_t count_, held_out_;
};

}  // namespace pathline::data
