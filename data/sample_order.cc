// SPDX-License-Identifier: Apache-2.0
#include "data/sample_order.h"

#include "core/error.h"
#include "core/random.h"

namespace pathline::data {

namespace {

constexpr int kRounds = 8;
constexpr int kPlaceBitsOfHalf = 31;  // a place of Draws has 34 bits: 3 for the round, 31 for the half

/// Half the bits of the smallest power of four that holds `count`, at least 1.
int half_bits_for(std::uint64_t count) {
  int bits = 1;
  while ((std::uint64_t{1} << (2 * bits)) < count) ++bits;
  return bits;
}

std::uint64_t checked_count(std::int64_t count) {
  PL_CHECK(count > 0, core::ExitCode::kInput, "a data set of ", count, " samples has no order. Give one with samples.");
  return static_cast<std::uint64_t>(count);
}

}  // namespace

KeyedBijection::KeyedBijection(std::uint64_t seed, std::uint64_t index, std::uint32_t purpose, std::uint64_t count)
    : seed_(seed), index_(index), count_(count), purpose_(purpose), half_bits_(0) {
  PL_ASSERT(count > 0 && count <= (std::uint64_t{1} << (2 * kPlaceBitsOfHalf)));
  half_bits_ = half_bits_for(count);
}

// Luby and Rackoff, "How to construct pseudorandom permutations from pseudorandom functions" (1988): a Feistel network
// is a bijection whatever its round function. Walking along the cycle until the value lies in [0, count) keeps it one
// (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002); fewer than four steps on average.
std::uint64_t KeyedBijection::operator()(std::uint64_t place) const {
  PL_ASSERT(place < count_);
  const core::Draws draws(seed_, index_, static_cast<core::Purpose>(purpose_));
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  std::uint64_t value = place;
  do {
    std::uint64_t left = value >> half_bits_, right = value & mask;
    for (std::uint64_t round = 0; round < kRounds; ++round) {
      const std::uint64_t mixed = left ^ (draws.bits((round << kPlaceBitsOfHalf) | right) & mask);
      left = right;
      right = mixed;
    }
    value = (left << half_bits_) | right;
  } while (value >= count_);
  return value;
}

SampleOrder::SampleOrder(std::uint64_t seed, std::int64_t count, core::Purpose purpose)
    : seed_(seed), count_(checked_count(count)), purpose_(purpose) {}

std::int64_t SampleOrder::sample(std::uint64_t position) const {
  const KeyedBijection order(seed_, epoch(position), static_cast<std::uint32_t>(purpose_), count_);
  return static_cast<std::int64_t>(order(position % count_));
}

std::uint64_t SampleOrder::epoch(std::uint64_t position) const { return position / count_; }

HoldOut::HoldOut(std::uint64_t seed, std::int64_t count, std::int64_t held_out)
    : choice_(seed, 0, static_cast<std::uint32_t>(core::Purpose::kHoldOut), checked_count(count)),
      count_(count),
      held_out_(held_out) {
  PL_CHECK(held_out >= 0 && held_out < count, core::ExitCode::kUsage, "cannot hold out ", held_out, " of ", count,
           " samples for validation (at least one must be left for training). Give a smaller share.");
}

std::int64_t HoldOut::training_count() const { return count_ - held_out_; }
std::int64_t HoldOut::held_out_count() const { return held_out_; }

std::int64_t HoldOut::held_out_sample(std::int64_t i) const {
  PL_ASSERT(i >= 0 && i < held_out_);
  return static_cast<std::int64_t>(choice_(static_cast<std::uint64_t>(i)));
}

std::int64_t HoldOut::training_sample(std::int64_t i) const {
  PL_ASSERT(i >= 0 && i < training_count());
  return static_cast<std::int64_t>(choice_(static_cast<std::uint64_t>(held_out_ + i)));
}

}  // namespace pathline::data
