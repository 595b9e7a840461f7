// SPDX-License-Identifier: Apache-2.0
#include "data/sample_order.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "core/error.h"
#include "core/every_isa.h"
#include "core/philox.h"
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

namespace {

constexpr std::size_t kAtOnce = 64;  // values in registers and the nearest cache

struct Key {
  std::uint32_t purpose, index_low, index_high, seed_low, seed_high;
  int half_bits;
};

/// All rounds for at most kAtOnce values, each as its two halves. The draw of round k for the half `right` is at place
/// k 2^31 + right: block place / 4, word place % 4.
PATHLINE_EVERY_ISA void all_rounds(const Key& key, std::size_t count, std::uint32_t* left, std::uint32_t* right) {
  const std::uint32_t mask = (std::uint32_t{1} << key.half_bits) - 1;
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < count; ++i) {
      std::uint32_t c0 = (round << (kPlaceBitsOfHalf - 2)) | right[i] >> 2, c1 = key.purpose;
      std::uint32_t c2 = key.index_low, c3 = key.index_high;
      core::philox_block(c0, c1, c2, c3, key.seed_low, key.seed_high);
      const std::uint32_t even = (right[i] & 2) != 0 ? c2 : c0, odd = (right[i] & 2) != 0 ? c3 : c1;
      const std::uint32_t word = (right[i] & 1) != 0 ? odd : even;
      const std::uint32_t mixed = left[i] ^ (word & mask);
      left[i] = right[i];
      right[i] = mixed;
    }
  }
}

}  // namespace

// Luby and Rackoff, "How to construct pseudorandom permutations from pseudorandom functions" (1988): a Feistel network
// is a bijection whatever its round function. Walking along the cycle until the value lies in [0, count) keeps it one
// (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002); fewer than four steps on average.
void KeyedBijection::apply(std::span<std::uint64_t> values) const {
  const Key key{purpose_,
                static_cast<std::uint32_t>(index_),
                static_cast<std::uint32_t>(index_ >> 32),
                static_cast<std::uint32_t>(seed_),
                static_cast<std::uint32_t>(seed_ >> 32),
                half_bits_};
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  for (const std::uint64_t place : values) PL_ASSERT(place < count_);
  std::vector<std::size_t> walking(values.size());  // indices of what is not inside yet
  std::iota(walking.begin(), walking.end(), std::size_t{0});
  while (!walking.empty()) {
    std::size_t kept = 0;
    for (std::size_t first = 0; first < walking.size(); first += kAtOnce) {
      const std::size_t count = std::min(kAtOnce, walking.size() - first);
      std::uint32_t left[kAtOnce], right[kAtOnce];
      for (std::size_t i = 0; i < count; ++i) {
        const std::uint64_t value = values[walking[first + i]];
        left[i] = static_cast<std::uint32_t>(value >> half_bits_);
        right[i] = static_cast<std::uint32_t>(value & mask);
      }
      all_rounds(key, count, left, right);
      for (std::size_t i = 0; i < count; ++i) {
        std::uint64_t& value = values[walking[first + i]];
        value = std::uint64_t{left[i]} << half_bits_ | right[i];
        if (value >= count_) walking[kept++] = walking[first + i];  // kept <= first + i
      }
    }
    walking.resize(kept);
  }
}

std::uint64_t KeyedBijection::operator()(std::uint64_t place) const {
  apply({&place, 1});
  return place;
}

SampleOrder::SampleOrder(std::uint64_t seed, std::int64_t count, core::Purpose purpose)
    : seed_(seed), count_(checked_count(count)), purpose_(purpose) {}

std::int64_t SampleOrder::sample(std::uint64_t position) const {
  const KeyedBijection order(seed_, epoch(position), static_cast<std::uint32_t>(purpose_), count_);
  return static_cast<std::int64_t>(order(position % count_));
}

void SampleOrder::samples(std::uint64_t first, std::span<std::int64_t> out) const {
  std::vector<std::uint64_t> places;
  for (std::size_t done = 0; done < out.size(); done += places.size()) {
    const std::uint64_t position = first + done, place = position % count_;
    places.resize(std::min<std::uint64_t>(out.size() - done, count_ - place));  // of one epoch
    std::iota(places.begin(), places.end(), place);
    KeyedBijection(seed_, epoch(position), static_cast<std::uint32_t>(purpose_), count_).apply(places);
    for (std::size_t i = 0; i < places.size(); ++i) out[done + i] = static_cast<std::int64_t>(places[i]);
  }
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

void HoldOut::training_samples(std::span<std::int64_t> values) const {
  std::vector<std::uint64_t> places;
  for (const std::int64_t i : values) {
    PL_ASSERT(i >= 0 && i < training_count());
    places.push_back(static_cast<std::uint64_t>(held_out_ + i));
  }
  choice_.apply(places);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::int64_t>(places[i]);
}

}  // namespace pathline::data
