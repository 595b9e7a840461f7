// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/mutator.h"

#include <algorithm>
#include <iterator>

namespace pathline::fuzz {

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kLargest = std::size_t{1} << 20;

Bytes::iterator at(Bytes& bytes, std::size_t place) { return bytes.begin() + static_cast<std::ptrdiff_t>(place); }

}  // namespace

std::vector<std::uint8_t> Mutator::mutated(std::span<const std::vector<std::uint8_t>> inputs) {
  Bytes bytes = inputs[below(inputs.size())];
  const Bytes& other = inputs[below(inputs.size())];
  for (std::size_t left = std::size_t{1} << below(4); left > 0; --left) damage(bytes, other);
  bytes.resize(std::min(bytes.size(), kLargest));
  return bytes;
}

void Mutator::damage(Bytes& bytes, const Bytes& other) {
  if (bytes.empty()) bytes.push_back(0);
  // Half of the places lie near the beginning, where headers are.
  const std::size_t place = below(next() % 2 == 0 ? bytes.size() : std::min<std::size_t>(bytes.size(), 512));
  const std::size_t length = 1 + below(std::min<std::size_t>(bytes.size() - place, std::size_t{1} << below(12)));
  switch (below(10)) {
    case 0:
      bytes.resize(place);
      break;
    case 1:
      bytes.erase(at(bytes, place), at(bytes, std::min(place + length, bytes.size())));
      break;
    case 2: {
      const Bytes again(at(bytes, place), at(bytes, std::min(place + length, bytes.size())));
      bytes.insert(at(bytes, place), again.begin(), again.end());
      break;
    }
    case 3:  // goes on as another input does
      if (place < other.size()) {
        bytes.resize(place);
        bytes.insert(bytes.end(), other.begin() + static_cast<std::ptrdiff_t>(place), other.end());
      }
      break;
    case 4:
      std::fill_n(at(bytes, place), std::min(length, bytes.size() - place), static_cast<std::uint8_t>(next()));
      break;
    case 5:
    case 6:
      put_number(bytes);
      break;
    case 7:
      bytes[place] = static_cast<std::uint8_t>(next());
      break;
    default:
      bytes[place] ^= static_cast<std::uint8_t>(1u << below(8));
      break;
  }
}

void Mutator::put_number(Bytes& bytes) {
  const std::uint64_t size = bytes.size();
  const std::uint64_t numbers[] = {0,
                                   1,
                                   2,
                                   0x7f,
                                   0x80,
                                   0xff,
                                   0x100,
                                   0x7fff,
                                   0x8000,
                                   0xffff,
                                   0x10000,
                                   0x7fffffff,
                                   0x80000000,
                                   0xffffffff,
                                   size,
                                   size - 1,
                                   size + 1,
                                   ~size,
                                   size / 2,
                                   ~std::uint64_t{0},
                                   std::uint64_t{1} << 63,
                                   std::uint64_t{1} << 40};
  const std::uint64_t number = numbers[below(std::size(numbers))];
  const std::size_t width = std::size_t{1} << below(4);
  if (width > bytes.size()) return;
  const std::size_t place = below(bytes.size() - width + 1);
  const bool big_endian = next() % 2 != 0;
  for (std::size_t i = 0; i < width; ++i) {
    bytes[place + (big_endian ? width - 1 - i : i)] = static_cast<std::uint8_t>(number >> (8 * i));
  }
}

}  // namespace pathline::fuzz
