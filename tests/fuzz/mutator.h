// SPDX-License-Identifier: Apache-2.0
// Damage to inputs: turned bits, cuts, splices, repetitions and numbers that are often forgotten. Mutation `run` is a
// pure function of (seed, run, inputs).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/random.h"

namespace pathline::fuzz {

class Mutator {
 public:
  Mutator(std::uint64_t seed, std::uint64_t run) : draws_(seed, run, core::Purpose::kMadeData) {}

  /// One of `inputs`, damaged in one to eight places.
  std::vector<std::uint8_t> mutated(std::span<const std::vector<std::uint8_t>> inputs);

 private:
  std::uint32_t next() { return draws_.bits(place_++); }
  /// [0, count), or 0 for none.
  std::size_t below(std::size_t count) { return count == 0 ? 0 : next() % count; }
  void damage(std::vector<std::uint8_t>& bytes, const std::vector<std::uint8_t>& other);
  void put_number(std::vector<std::uint8_t>& bytes);

  core::Draws draws_;
  std::uint64_t place_ = 0;
};

}  // namespace pathline::fuzz
