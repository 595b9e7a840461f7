// SPDX-License-Identifier: Apache-2.0
// Signed distances: I. Quilez, "2D distance functions", https://iquilezles.org/articles/distfunctions2d/ (heart, star,
// moon, triangle, box); x to the right, y upwards, the shape about as large as the unit circle, negative inside.
#include <algorithm>
#include <array>
#include <cmath>

#include "core/random.h"
#include "data/made.h"

namespace pathline::data {
namespace {

struct Vec {
  double x = 0, y = 0;
};
Vec operator-(Vec a, Vec b) { return {a.x - b.x, a.y - b.y}; }
Vec operator*(double s, Vec a) { return {s * a.x, s * a.y}; }
double dot(Vec a, Vec b) { return a.x * b.x + a.y * b.y; }
double length(Vec a) { return std::sqrt(dot(a, a)); }
double clamped(double value, double low, double high) { return std::min(std::max(value, low), high); }

double box(Vec p, double half_width, double half_height) {
  const Vec d = {std::abs(p.x) - half_width, std::abs(p.y) - half_height};
  return length({std::max(d.x, 0.0), std::max(d.y, 0.0)}) + std::min(std::max(d.x, d.y), 0.0);
}

double circle(Vec p) { return length(p) - 0.86; }
double ring(Vec p) { return std::abs(length(p) - 0.70) - 0.20; }
double square(Vec p) { return box(p, 0.62, 0.62) - 0.12; }
double cross(Vec p) { return std::min(box(p, 0.84, 0.22), box(p, 0.22, 0.84)) - 0.06; }

/// Equilateral, one corner up, corners rounded.
double triangle(Vec p) {
  constexpr double kRoot3 = 1.7320508075688772, kHalf = 0.78;
  p.y += 0.12;
  p.x = std::abs(p.x) - kHalf;
  p.y += kHalf / kRoot3;
  if (p.x + kRoot3 * p.y > 0) p = 0.5 * Vec{p.x - kRoot3 * p.y, -kRoot3 * p.x - p.y};
  p.x -= clamped(p.x, -2 * kHalf, 0);
  return (p.y > 0 ? -length(p) : length(p)) - 0.10;
}

/// Five points.
double star(Vec p) {
  constexpr Vec kFirst = {0.809016994375, -0.587785252292}, kSecond = {-0.809016994375, -0.587785252292};
  constexpr double kRadius = 0.98, kInner = 0.46;
  p.x = std::abs(p.x);
  p = p - 2 * std::max(dot(kFirst, p), 0.0) * kFirst;
  p = p - 2 * std::max(dot(kSecond, p), 0.0) * kSecond;
  p.x = std::abs(p.x);
  p.y -= kRadius;
  const Vec edge = kInner * Vec{0.587785252292, 0.809016994375} - Vec{0, 1};
  const double along = clamped(dot(p, edge) / dot(edge, edge), 0, kRadius);
  const double side = p.y * edge.x - p.x * edge.y;
  return (side > 0 ? 1 : -1) * length(p - along * edge) - 0.04;
}

double heart(Vec p) {
  constexpr double kScale = 1.56;
  p = (1 / kScale) * p;
  p = {std::abs(p.x), p.y + 0.55};
  if (p.x + p.y > 1) return kScale * (length(p - Vec{0.25, 0.75}) - 0.3535533905932738);
  const double corner = 0.5 * std::max(p.x + p.y, 0.0);
  const Vec a = p - Vec{0, 1}, b = p - Vec{corner, corner};
  return kScale * (p.x > p.y ? 1 : -1) * std::sqrt(std::min(dot(a, a), dot(b, b)));
}

/// A disc without another one.
double moon(Vec p) {
  p.x += 0.12;
  return std::max(length(p) - 0.90, 0.70 - length(p - Vec{0.46, 0.18}));
}

constexpr std::array<double (*)(Vec), 8> kShapes = {circle, ring, square, triangle, cross, star, heart, moon};

struct Colour {
  double r = 0, g = 0, b = 0;
};
Colour mixed(Colour a, Colour b, double share) {
  return {a.r + share * (b.r - a.r), a.g + share * (b.g - a.g), a.b + share * (b.b - a.b)};
}

/// Hue in turns.
Colour from_hsv(double hue, double saturation, double value) {
  hue -= std::floor(hue);
  const auto channel = [&](double shift) {
    const double k = std::fmod(hue * 6 + shift, 6.0);
    return value - value * saturation * clamped(std::min(k, 4 - k), 0, 1);
  };
  return {channel(5), channel(3), channel(1)};
}

/// The keyed choices of one picture.
struct Scene {
  double hue, scale, light;
  Vec centre, turn;  // turn = (cos, sin)
};

Scene scene_of(std::uint64_t seed, std::uint64_t index) {
  const core::Draws draw(seed, index, core::Purpose::kMadeData);
  const double tilt = 0.12 * (2.0 * draw.uniform(4) - 1);  // tangent of half the angle: up to 13.7 degrees
  const double norm = 1 + tilt * tilt;
  return {draw.uniform(0),
          0.60 + 0.14 * draw.uniform(1),
          draw.uniform(5),
          {0.16 * (draw.uniform(2) - 0.5), 0.16 * (draw.uniform(3) - 0.5)},
          {(1 - tilt * tilt) / norm, 2 * tilt / norm}};
}

/// Light falls from the upper left: `at` runs over [-1, 1]^2, `distance` is the signed distance in the same unit.
Colour colour_at(const Scene& scene, Vec at, double distance, double pixel) {
  const double lit = clamped(0.5 + 0.35 * (at.y - at.x), 0, 1);
  const Colour night = from_hsv(scene.hue + 0.58, 0.55, 0.07 + 0.05 * scene.light);
  const Colour dusk = from_hsv(scene.hue + 0.52, 0.50, 0.24 + 0.14 * scene.light);
  Colour ground = mixed(night, dusk, clamped(0.5 + 0.5 * at.y, 0, 1));
  const Colour body = mixed(from_hsv(scene.hue + 0.06, 0.88, 0.80), from_hsv(scene.hue, 0.58, 1.0), lit);
  const double far = std::max(distance, 0.0) / 0.16;
  ground = mixed(ground, body, 0.38 / (1 + far * far) * clamped(1.6 - far * 0.35, 0, 1));  // glow
  return mixed(ground, body, clamped(0.5 - distance / pixel, 0, 1));
}

std::uint8_t byte_of(double value) { return static_cast<std::uint8_t>(clamped(std::floor(value * 255 + 0.5), 0, 255)); }

}  // namespace

const std::vector<std::string>& shape_names() {
  static const std::vector<std::string> kNames = {"circle", "ring", "square", "triangle",
                                                  "cross",  "star", "heart",  "moon"};
  return kNames;
}

Image draw_shape(std::int64_t shape, std::int64_t size, std::uint64_t seed, std::uint64_t index) {
  const Scene scene = scene_of(seed, index);
  const double pixel = 2.0 / static_cast<double>(size);
  Image image(size, size, 3);
  for (std::int64_t row = 0; row < size; ++row) {
    for (std::int64_t column = 0; column < size; ++column) {
      const Vec at = {pixel * (static_cast<double>(column) + 0.5) - 1, 1 - pixel * (static_cast<double>(row) + 0.5)};
      const Vec shifted = (1 / scene.scale) * (at - scene.centre);
      const Vec local = {scene.turn.x * shifted.x + scene.turn.y * shifted.y,
                         scene.turn.x * shifted.y - scene.turn.y * shifted.x};
      const double distance = scene.scale * kShapes[static_cast<std::size_t>(shape)](local);
      const Colour colour = colour_at(scene, at, distance, pixel);
      image.at(row, column, 0) = byte_of(colour.r);
      image.at(row, column, 1) = byte_of(colour.g);
      image.at(row, column, 2) = byte_of(colour.b);
    }
  }
  return image;
}

}  // namespace pathline::data
