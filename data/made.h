// SPDX-License-Identifier: Apache-2.0
// Data sets made from a seed: item i is a pure function of (seed, i), made when it is read.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/image.h"
#include "data/shard_source.h"

namespace pathline::data {

struct MadeOptions {
  std::int64_t count = 10000;
  std::int64_t size = 32;  // pixels a side, of pictures
  std::uint64_t seed = 0;
};

/// "shapes", "moons", "checkerboard", "8gaussians", "gaussian".
const std::vector<std::string>& made_names();

/// Throws core::Error (kUsage), naming the nearest known one, for another name or impossible options.
std::unique_ptr<ShardSource> make_source(const std::string& name, const MadeOptions& options);

/// Classes of `shapes`; item i has class i mod 8.
const std::vector<std::string>& shape_names();

/// One picture (size, size, 3): a shape of one keyed hue in soft light before a dark ground. Edges are anti-aliased by
/// the distance to the outline. Only + - * / and square roots of double: the same bits everywhere.
Image draw_shape(std::int64_t shape, std::int64_t size, std::uint64_t seed, std::uint64_t index);

/// One point of a 2-D set and its label (-1 where there is none). Moons are scikit-learn's make_moons(noise=0.05), as
/// in the code of seed 002: half circles of radius 1, the upper around (0, 0), the lower around (1, 0.5). The others
/// are as FFJORD's toy_data.py draws them (Grathwohl et al., "FFJORD", ICLR 2019): a checkerboard within [-4, 4], eight
/// Gaussians on a circle of radius 2.83.
struct LabelledPoint {
  float x = 0, y = 0;
  std::int64_t label = -1;
};
LabelledPoint moon_point(std::uint64_t seed, std::uint64_t index);
/// Of the moons, in nats: the logarithm of the integral over both half circles of the noise's density. Entropy 0.300.
double moon_log_density(double x, double y);
/// Standard normal coordinates of correlation 0.8: y given x is normal with mean 0.8 x and deviation 0.6.
inline constexpr double kGaussianCorrelation = 0.8;
LabelledPoint gaussian_point(std::uint64_t seed, std::uint64_t index);
LabelledPoint checkerboard_point(std::uint64_t seed, std::uint64_t index);
LabelledPoint eight_gaussians_point(std::uint64_t seed, std::uint64_t index);

}  // namespace pathline::data
