// SPDX-License-Identifier: Apache-2.0
// Small kernels beside the bound of this machine: sums beside a plain copy, checksums and keyed normals by their own
// rate. Compare bytes_per_second within one run. The optimizer's pass has update_benchmark.
#include <benchmark/benchmark.h>

#include <cstring>
#include <vector>

#include "cluster/reduction_tree.h"
#include "core/crc32c.h"
#include "core/random.h"

namespace pathline {
namespace {

constexpr std::size_t kElements = std::size_t{1} << 23;  // 32 MiB an array: beyond every cache

void count_bytes(benchmark::State& state, std::size_t bytes) {
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
}

void copy_bound(benchmark::State& state) {
  const std::vector<float> from(kElements, 1.0f);
  std::vector<float> to(kElements);
  for (auto _ : state) {
    std::memcpy(to.data(), from.data(), kElements * sizeof(float));
    benchmark::ClobberMemory();
  }
  count_bytes(state, 2 * kElements * sizeof(float));
}
BENCHMARK(copy_bound);

void add_into(benchmark::State& state) {
  std::vector<float> left(kElements, 0.0f);
  const std::vector<float> right(kElements, 1.0f);
  for (auto _ : state) {
    cluster::add_into(left, right);
    benchmark::ClobberMemory();
  }
  count_bytes(state, 3 * kElements * sizeof(float));
}
BENCHMARK(add_into);

void crc32c(benchmark::State& state) {
  const std::vector<std::byte> bytes(std::size_t{1} << 20);  // a piece of a checkpoint
  for (auto _ : state) benchmark::DoNotOptimize(core::crc32c(bytes));
  count_bytes(state, bytes.size());
}
BENCHMARK(crc32c);

void keyed_normals(benchmark::State& state) {
  std::vector<float> noise(3 * 64 * 64);
  std::uint64_t position = 0;
  for (auto _ : state) {
    core::Draws(1, position++, core::Purpose::kNoise).fill_normal(noise);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(noise.size()));
}
BENCHMARK(keyed_normals);

}  // namespace
}  // namespace pathline

BENCHMARK_MAIN();
