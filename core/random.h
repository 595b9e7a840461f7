// SPDX-License-Identifier: Apache-2.0
// Keyed random numbers: every draw is a pure function of (seed, index, purpose, place). Nothing depends on rank,
// thread, batch mates or on how often something was drawn before. Specified to the bit in docs/formats/random.md.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace pathline::core {

/// What a draw is for. Training and generation are disjoint. Numbers are durable: never reuse or renumber one.
enum class Purpose : std::uint32_t {
  // training; index = position
  kSampleOrder = 1,
  kFlip = 2,
  kTime = 3,
  kNoise = 4,
  kLabelDrop = 5,
  kSourceOrder = 6,
  kDequantize = 7,
  kHoldOut = 8,
  kParameters = 9,  // initial weights; index = hash of the parameter's name
  kValidationTime = 10,
  kValidationNoise = 11,
  kJitter = 12,  // noise beside the path
  kValidationJitter = 13,
  kCoupling = 14,          // of noise and samples (flow/sinkhorn.h)
  kValidationSource = 15,  // order of a second data set that x0 come from; kSourceOrder in training
  kDivergenceProbe = 20,   // signs of an estimate of a divergence
  kMask = 24,              // what is known of a sample (flow/mask.h)
  kValidationMask = 25,
  kLatent = 26,  // of a latent's law (data/latents.h)
  kValidationLatent = 27,
  kLaneGroups = 30,   // order of groups that are decoded together (data/lane_order.h); index = epoch
  kLaneSamples = 31,  // order inside a group; index = epoch * 2^32 + group
  kValidationDequantize = 33,
  kDropout = 1000,  // + layer number
  // generation; index = sample id
  kGenerationNoise = 0x10000,
  kGenerationLabel = 0x10001,
  kGenerationStep = 0x10002,  // + number of the draw
  // made data and tests; index = item
  kMadeData = 0x20000,
  // generation; index = epoch of ids
  kGenerationSource = 0x28000,  // order of a second data set that x0 come from
  // generation; index = row of a set
  kGenerationMask = 0x28001,  // what is known of it; seed 0
  // likelihood; index = item
  kLikelihoodDequantize = 0x30000,
  kLikelihoodProbe = 0x30001,  // + number of the probe
  // evaluation; index = number of the draw
  kEvaluationDraw = 0x40000,  // + 1 for the reference
  // sets written again
  kRepackOrder = 0x50000,  // index 0
  kSplit = 0x50001,        // who is held out; index = class
};

/// Philox 4x32-10 of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
std::array<std::uint32_t, 4> philox4x32_10(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

/// An endless row of draws, addressed by place. Place p lies in Philox block p / 4, word p mod 4.
struct Draws {
  std::uint64_t seed = 0;
  std::uint64_t index = 0;
  std::uint32_t purpose = 0;

  Draws(std::uint64_t seed, std::uint64_t index, Purpose purpose, std::uint32_t layer = 0)
      : seed(seed), index(index), purpose(static_cast<std::uint32_t>(purpose) + layer) {}

  std::uint32_t bits(std::uint64_t place) const;
  /// [0, 1), a multiple of 2^-24.
  float uniform(std::uint64_t place) const;
  /// Standard normal; places 2k and 2k+1 share one Box-Muller pair.
  float normal(std::uint64_t place) const;

  /// Places 0 .. out.size()-1 at once; the same bits as place by place.
  void fill_uniform(std::span<float> out) const;
  void fill_normal(std::span<float> out) const;
};

/// A 64-bit hash of text, for indices made from names (FNV-1a).
std::uint64_t hash_name(std::string_view name);

}  // namespace pathline::core
