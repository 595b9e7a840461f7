// SPDX-License-Identifier: Apache-2.0
// judge_transport PAIRS.h5 FRESH.h5: mean squared length of the ways that a model sends samples on (/x0 to /points),
// over that of the exact assignment of the same /x0 to fresh data. 1 is optimal transport. Prints the ratio.
#include <cstdio>
#include <vector>

#include "core/error.h"
#include "data/shard_source.h"
#include "flow/assignment.h"
#include "flow/coupling.h"

namespace {

using namespace pathline;

constexpr std::int64_t kCount = 2000;

int judge(const std::string& pairs_path, const std::string& fresh_path) {
  const auto pairs = data::open_source({pairs_path}), fresh = data::open_source({fresh_path});
  const auto size = pairs->info().item_values();
  std::vector<float> x0(kCount * size), ends(kCount * size), data(kCount * size);
  for (std::int64_t i = 0; i < kCount; ++i) {
    const std::size_t at = static_cast<std::size_t>(i) * size;
    pairs->read_start(i, std::span(x0).subspan(at, size));
    pairs->read(i, std::as_writable_bytes(std::span(ends).subspan(at, size)));
    fresh->read(i, std::as_writable_bytes(std::span(data).subspan(at, size)));
  }
  double sent = 0;
  for (std::size_t k = 0; k < x0.size(); ++k) sent += static_cast<double>(ends[k] - x0[k]) * (ends[k] - x0[k]);
  std::vector<float> costs(kCount * kCount);
  flow::squared_distances(data, x0, size, costs);
  const double best = flow::assign(costs, kCount).cost;
  std::printf("%.4f\n", sent / best);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "judge_transport PAIRS.h5 FRESH.h5\n");
    return 2;
  }
  return core::run_program([&] { return judge(argv[1], argv[2]); });
}
