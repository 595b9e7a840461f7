// SPDX-License-Identifier: Apache-2.0
#include "core/random.h"

#include <algorithm>

#include "core/error.h"
#include "core/philox.h"
#include "core/random_kernels.h"

namespace pathline::core {
namespace {

constexpr std::uint64_t kPlaces = std::uint64_t{1} << 34;  // the block number has 32 bits

std::uint32_t low(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
std::uint32_t high(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); }

std::array<std::uint32_t, 4> block_at(const Draws& draws, std::uint64_t place) {
  PL_ASSERT(place < kPlaces);
  return philox4x32_10({low(place / 4), draws.purpose, low(draws.index), high(draws.index)},
                       {low(draws.seed), high(draws.seed)});
}

void fill(const Draws& draws, std::span<float> out, FillKernel kernel) {
  PL_ASSERT(out.size() <= kPlaces);
  const DrawKey key{draws.purpose, low(draws.index), high(draws.index), low(draws.seed), high(draws.seed)};
  const std::size_t whole = out.size() / 4;
  kernel(key, 0, whole, out.data());
  if (out.size() % 4 != 0) {
    float last[4];
    kernel(key, low(whole), 1, last);
    std::copy_n(last, out.size() % 4, out.data() + 4 * whole);
  }
}

}  // namespace

std::array<std::uint32_t, 4> philox4x32_10(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  philox_block(counter[0], counter[1], counter[2], counter[3], key[0], key[1]);
  return counter;
}

std::uint32_t Draws::bits(std::uint64_t place) const { return block_at(*this, place)[place % 4]; }

float Draws::uniform(std::uint64_t place) const { return uniform_from_word(bits(place)); }

float Draws::normal(std::uint64_t place) const {
  const auto block = block_at(*this, place);
  const std::size_t pair = place % 4 / 2 * 2;
  float first, second;
  normal_pair(block[pair], block[pair + 1], first, second);
  return place % 2 == 0 ? first : second;
}

void Draws::fill_uniform(std::span<float> out) const { fill(*this, out, fill_kernels().front().uniform); }

void Draws::fill_normal(std::span<float> out) const { fill(*this, out, fill_kernels().front().normal); }

std::uint64_t hash_name(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char letter : name) hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3u;
  return hash;
}

}  // namespace pathline::core
