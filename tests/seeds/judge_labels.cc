// SPDX-License-Identifier: Apache-2.0
// judge_labels SET.h5: prints the share of samples that lie nearer to the moon of their label than to the other.
#include <cmath>
#include <cstdio>
#include <vector>

#include "core/error.h"
#include "data/shard_source.h"

namespace {

using namespace pathline;

/// Distance of (x, y) to the half circle of radius 1 around the origin that lies above it.
double to_arc(double x, double y) {
  if (y >= 0) return std::abs(std::hypot(x, y) - 1);
  return std::hypot(std::abs(x) - 1, y);
}

int judge(const std::string& path) {
  const auto set = data::open_source({path});
  std::int64_t right = 0;
  std::vector<float> point(2);
  for (std::int64_t i = 0; i < set->info().count; ++i) {
    set->read(i, std::as_writable_bytes(std::span(point)));
    const double upper = to_arc(point[0], point[1]), lower = to_arc(point[0] - 1.0, 0.5 - point[1]);
    right += set->label(i) == (upper < lower ? 0 : 1);
  }
  std::printf("%.4f\n", static_cast<double>(right) / static_cast<double>(set->info().count));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "judge_labels SET.h5\n");
    return 2;
  }
  return core::run_program([&] { return judge(argv[1]); });
}
