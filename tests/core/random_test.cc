// SPDX-License-Identifier: Apache-2.0
// The vectors are those of Random123 (kat_vectors) and of docs/formats/random.md; the latter were computed by an
// independent program with exact rational arithmetic.
#include "core/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "core/normal_polynomial.h"
#include "core/random_kernels.h"

namespace pathline::core {
namespace {

using Block = std::array<std::uint32_t, 4>;

std::uint32_t bits_of(float value) { return std::bit_cast<std::uint32_t>(value); }

const Draws kRow(0x0123456789abcdef, 0xfedcba9876543210, Purpose::kNoise);

TEST(Philox, GivesThePublishedBlocks) {
  EXPECT_EQ(philox4x32_10({0, 0, 0, 0}, {0, 0}), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32_10({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}), (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Draws, GiveTheSpecifiedRow) {
  const std::uint32_t words[] = {0xfe078bd8, 0xfad74cfe, 0xc40895ca, 0x47b7eaa4,
                                 0x9f0df525, 0xdc76bc17, 0xc2259ada, 0x3d193dde};
  const std::uint32_t uniforms[] = {0x3f7e078b, 0x3f7ad74c, 0x3f440895, 0x3e8f6fd4,
                                    0x3f1f0df5, 0x3f5c76bc, 0x3f42259a, 0x3e7464f4};
  const std::uint32_t normals[] = {0x3dfc8f2b, 0xbc809ace, 0xbe0ce15c, 0x3f37b055,
                                   0x3f20a28b, 0xbf3f40ab, 0x3d58bf12, 0x3f3de923};
  for (std::uint64_t place = 0; place < 8; ++place) {
    EXPECT_EQ(kRow.bits(place), words[place]);
    EXPECT_EQ(bits_of(kRow.uniform(place)), uniforms[place]);
    EXPECT_EQ(bits_of(kRow.normal(place)), normals[place]);
  }
}

TEST(Draws, EndAtPlaceTwoToThe34) {
  const Draws row(1, 1, Purpose::kNoise);
  const std::uint64_t end = std::uint64_t{1} << 34;
  EXPECT_EQ(row.bits(end - 4), 0x9855a462u);
  EXPECT_EQ(row.bits(end - 1), 0x3ca4c511u);
  EXPECT_THROW(row.bits(end), std::logic_error);
}

TEST(Draws, DifferInSeedIndexPurposeAndLayer) {
  const std::uint32_t words[] = {Draws(1, 2, Purpose::kNoise).bits(0),
                                 Draws(2, 2, Purpose::kNoise).bits(0),
                                 Draws(1, 3, Purpose::kNoise).bits(0),
                                 Draws(1, 2, Purpose::kTime).bits(0),
                                 Draws(1, 2, Purpose::kDropout).bits(0),
                                 Draws(1, 2, Purpose::kDropout, 1).bits(0),
                                 Draws(1, 2 + (1ull << 32), Purpose::kNoise).bits(0),
                                 Draws(1 + (1ull << 32), 2, Purpose::kNoise).bits(0)};
  std::vector<std::uint32_t> sorted(std::begin(words), std::end(words));
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(std::unique(sorted.begin(), sorted.end()), sorted.end());
}

TEST(Draws, FillGivesTheBitsOfPlaceByPlaceForEveryLength) {
  for (std::size_t size = 0; size <= 203; ++size) {
    std::vector<float> uniforms(size + 1, -1.0f), normals(size + 1, -1.0f);
    kRow.fill_uniform(std::span(uniforms).first(size));
    kRow.fill_normal(std::span(normals).first(size));
    for (std::size_t place = 0; place < size; ++place) {
      ASSERT_EQ(bits_of(uniforms[place]), bits_of(kRow.uniform(place))) << size << " " << place;
      ASSERT_EQ(bits_of(normals[place]), bits_of(kRow.normal(place))) << size << " " << place;
    }
    EXPECT_EQ(uniforms[size], -1.0f) << "written beyond the end";
    EXPECT_EQ(normals[size], -1.0f) << "written beyond the end";
  }
}

TEST(FillKernels, GiveTheSameBitsOnEveryInstructionSet) {
  const DrawKey key{4, 11, 22, 33, 44};
  const std::size_t blocks = 50'003;
  std::vector<float> expected(4 * blocks), out(4 * blocks);
  const std::uint32_t first = ~std::uint32_t{0} - 50'002;  // up to the last block
  for (const bool normal : {false, true}) {
    const FillKernels& reference = fill_kernels().back();
    (normal ? reference.normal : reference.uniform)(key, first, blocks, expected.data());
    for (const FillKernels& kernels : fill_kernels()) {
      (normal ? kernels.normal : kernels.uniform)(key, first, blocks, out.data());
      EXPECT_TRUE(std::equal(out.begin(), out.end(), expected.begin(),
                             [](float a, float b) { return bits_of(a) == bits_of(b); }))
          << kernels.name << (normal ? " normal" : " uniform");
    }
  }
}

struct PairVector {
  std::uint32_t a, b, first, second;
};

TEST(NormalPair, GivesTheSpecifiedBits) {
  const PairVector vectors[] = {
      {0x00000000, 0x00000000, 0x40d87047, 0x00000000}, {0x00000000, 0x20000000, 0x40990b91, 0x40990b92},
      {0xffffffff, 0x12345678, 0x3766de7f, 0x36dd3a58}, {0x80000000, 0x80000000, 0xbf96b55f, 0x80000000},
      {0x7fffffff, 0xc0000001, 0x30ecbb7a, 0xbf96b55f}, {0xb504f333, 0x5fffffff, 0xbf16b55f, 0x3f16b560},
      {0xb504f2ff, 0x60000000, 0xbf16b560, 0x3f16b55f}, {0x6627e8d5, 0xe169c58d, 0x3f7dbb31, 0xbf6cb6b0},
      {0x12345678, 0x9abcdef0, 0xbfe92f38, 0xbfb39381}, {0x00000001, 0xffffffff, 0x40d32d4c, 0xb225dba5}};
  for (const PairVector& vector : vectors) {
    float first, second;
    normal_pair(vector.a, vector.b, first, second);
    EXPECT_EQ(bits_of(first), vector.first) << std::hex << vector.a << " " << vector.b;
    EXPECT_EQ(bits_of(second), vector.second) << std::hex << vector.a << " " << vector.b;
  }
}

/// Largest difference from Box and Muller in long double.
double pair_error(std::uint32_t a, std::uint32_t b) {
  float first, second;
  normal_pair(a, b, first, second);
  const long double radius = std::sqrt(-2 * std::log((a + 0.5L) * 0x1p-32L));
  const long double angle = 2 * 3.141592653589793238462643383279502884L * b * 0x1p-32L;
  const long double first_error = std::abs(first - radius * std::cos(angle));
  const long double second_error = std::abs(second - radius * std::sin(angle));
  return static_cast<double>(std::max(first_error, second_error));
}

TEST(NormalPair, IsWithinOneMillionthOfTheExactValue) {
  const Draws words(5, 0, Purpose::kMadeData);
  double worst = 0;
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    const std::uint32_t a = words.bits(2 * i), b = words.bits(2 * i + 1);
    for (const std::uint32_t edge :
         {a, i, ~i, 0x80000000u + i, 0x7fffffffu - i, 0xb504f333u - 50'000 + i, a >> i % 32}) {
      worst = std::max(worst, pair_error(edge, b));
    }
  }
  EXPECT_LT(worst, 1e-6);
}

TEST(NormalPair, HandlesEveryEdgeOfTheQuadrants) {
  for (std::uint32_t octant = 0; octant < 8; ++octant) {
    for (std::uint32_t offset = 0; offset < 200; ++offset) {
      EXPECT_LT(pair_error(3, (octant << 29) + offset), 1e-6);
      EXPECT_LT(pair_error(3, (octant << 29) - offset), 1e-6);
    }
  }
}

TEST(Normal, HasTheMomentsOfAStandardNormal) {
  std::vector<float> x(4'000'000);
  Draws(7, 3, Purpose::kNoise).fill_normal(x);
  double moment[5] = {};
  for (const double v : x) {
    for (int k = 1; k <= 4; ++k) moment[k] += std::pow(v, k) / static_cast<double>(x.size());
  }
  // Four standard errors; the variance of x^k is E x^2k - (E x^k)^2: 1, 2, 15, 96.
  const double unit = 4 / std::sqrt(static_cast<double>(x.size()));
  EXPECT_NEAR(moment[1], 0, unit);
  EXPECT_NEAR(moment[2], 1, unit * std::sqrt(2));
  EXPECT_NEAR(moment[3], 0, unit * std::sqrt(15));
  EXPECT_NEAR(moment[4], 3, unit * std::sqrt(96));
}

TEST(Normal, PassesKolmogorovAndSmirnov) {
  std::vector<float> x(1'000'000);
  Draws(7, 4, Purpose::kNoise).fill_normal(x);
  std::sort(x.begin(), x.end());
  const double n = static_cast<double>(x.size());
  double distance = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double expected = 0.5 * std::erfc(-x[i] / std::sqrt(2.0));
    distance = std::max({distance, std::abs(expected - i / n), std::abs(expected - (i + 1) / n)});
  }
  EXPECT_LT(distance * std::sqrt(n), 1.63);  // the 1 % point of the Kolmogorov distribution
}

TEST(Normal, NeighboursAreUncorrelated) {
  std::vector<float> x(1'000'000);
  Draws(7, 5, Purpose::kNoise).fill_normal(x);
  for (const std::size_t lag : {1, 2, 3, 4, 8}) {
    double sum = 0;
    for (std::size_t i = lag; i < x.size(); ++i) sum += static_cast<double>(x[i]) * x[i - lag];
    EXPECT_LT(std::abs(sum) / std::sqrt(static_cast<double>(x.size())), 4) << "lag " << lag;  // standard errors
  }
}

TEST(HashName, IsFnv1a) {
  EXPECT_EQ(hash_name(""), 0xcbf29ce484222325u);
  EXPECT_EQ(hash_name("a"), 0xaf63dc4c8601ec8cu);       // published with the algorithm
  EXPECT_EQ(hash_name("foobar"), 0x85944171f73967e8u);  // published with the algorithm
  EXPECT_EQ(hash_name("blocks.0.weight"), 0x7b467508f3d12fa5u);
}

}  // namespace
}  // namespace pathline::core
