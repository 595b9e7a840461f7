// SPDX-License-Identifier: Apache-2.0
#include "launch/doctor/network_probe.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "cluster/agree.h"
#include "cluster/shared_directory.h"
#include "core/error.h"
#include "core/machine.h"
#include "launch/doctor/examination.h"
#include "launch/doctor/host_probe.h"

namespace pathline::doctor {
namespace {

constexpr std::size_t kMostCores = 4096;

/// Seconds of one call, from repeating it; as many times on every rank.
template <class Call>
double seconds_of(cluster::Communicator& ranks, double seconds, const Call& call) {
  call();  // makes connections
  ranks.barrier();
  double begin = core::monotonic_seconds();
  call();
  double once = core::monotonic_seconds() - begin;
  ranks.all_reduce(std::span(&once, 1), cluster::Reduction::kMax);
  const int count = static_cast<int>(std::clamp(seconds / std::max(once, 1e-7), 3.0, 2000.0));
  begin = core::monotonic_seconds();
  for (int i = 0; i < count; ++i) call();
  double each = (core::monotonic_seconds() - begin) / count;
  ranks.all_reduce(std::span(&each, 1), cluster::Reduction::kMax);
  return each;
}

}  // namespace

std::vector<std::vector<int>> cores_of_all(cluster::Communicator& ranks) {
  std::array<std::byte, kMostCores / 8> mine{};
  for (const int core : allowed_cores()) mine[core / 8] |= std::byte{1} << (core % 8);
  std::vector<std::byte> all(mine.size() * ranks.size());
  ranks.all_gather(mine, all);
  std::vector<std::vector<int>> cores(ranks.size());
  for (int r = 0; r < ranks.size(); ++r) {
    for (int core = 0; core < static_cast<int>(kMostCores); ++core) {
      const std::byte bits = all[r * mine.size() + core / 8] >> (core % 8);
      if ((bits & std::byte{1}) != std::byte{0}) cores[r].push_back(core);
    }
  }
  return cores;
}

std::vector<double> clock_skew(cluster::Communicator& ranks) {
  std::vector<double> best(ranks.size(), 1e18), all(ranks.size());
  for (int round = 0; round < 5; ++round) {
    ranks.barrier();
    const double mine = core::wall_seconds();
    ranks.all_gather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(all)));
    for (int r = 0; r < ranks.size(); ++r) {
      if (std::abs(all[r] - all[0]) < std::abs(best[r])) best[r] = all[r] - all[0];
    }
  }
  return best;
}

AllReduce time_all_reduce(cluster::Communicator& ranks, int hosts, std::size_t bytes, double seconds) {
  AllReduce seen{.ranks = ranks.size(), .hosts = hosts, .link_bytes_per_second = link_bytes_per_second()};
  std::int64_t one = 1;
  seen.latency_seconds =
      seconds_of(ranks, seconds / 4, [&] { ranks.all_reduce(std::span(&one, 1), cluster::Reduction::kMax); });
  const auto parts = static_cast<std::size_t>(ranks.size());
  const std::size_t part = std::max<std::size_t>(1, bytes / sizeof(float) / parts);
  std::vector<float> gradient(part * parts, 1.0f), own(part);
  std::vector<std::size_t> elements, places;
  for (std::size_t r = 0; r <= parts; ++r) {
    elements.push_back(r * part);
    places.push_back(r * part * sizeof(float));
  }
  // As training does it: everybody gets the sum of its part, and then all parts.
  const double each = seconds_of(ranks, seconds, [&] {
    ranks.reduce_scatter(gradient, elements, own);
    ranks.all_gather_in_place(std::as_writable_bytes(std::span(gradient)), places);
  });
  const double crossing = 2.0 * static_cast<double>((parts - 1) * part * sizeof(float));
  seen.bytes_per_second = crossing / each;
  return seen;
}

Line try_shared(cluster::Communicator& ranks, const std::string& directory) {
  core::PosixFileSystem files;
  try {
    cluster::check_shared_directory(ranks, files, directory);
  } catch (const cluster::AgreedError& error) {
    return broken_by("storage: shared", error.what());
  }
  return good("storage: shared", core::concat("all ranks see what rank 0 writes into ", directory));
}

}  // namespace pathline::doctor
