// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "apps/doctor/probes.h"
#include "core/error.h"
#include "core/machine.h"
#include "data/loader.h"
#include "data/sample_order.h"
#include "data/shard_source.h"

namespace pathline::apps {
namespace {

using doctor::Line;

constexpr double kFewSamples = 500, kFewBytes = 20e6;  // a second

Line judge_rate(std::int64_t samples, double seconds, const data::SetInfo& info) {
  const double rate = static_cast<double>(samples) / seconds;
  const double bytes = rate * static_cast<double>(info.item_bytes());
  const std::string found =
      core::concat(std::round(rate), " samples/s, ", std::round(bytes / 1e5) / 10, " MB/s in random order");
  if (rate < kFewSamples && bytes < kFewBytes) {
    return doctor::slow(
        "loader", core::concat(found, ": training may wait for data"),
        "copy the data to a local disk, raise data.loader_threads, or write them anew with `pathline data import`");
  }
  return doctor::good("loader", found);
}

}  // namespace

std::vector<Line> look_at_data(const Needs& needs, double seconds) {
  const auto source = data::open_source(needs.data);
  const data::SetInfo& info = source->info();
  std::vector<Line> lines{doctor::good("data", info.description)};
  const data::SampleOrder order(0, info.count);
  data::Loader loader(*source,
                      [&](std::uint64_t first, std::span<std::int64_t> samples) { order.samples(first, samples); },
                      {.batch = needs.batch, .first = 0, .last = needs.batch, .threads = needs.loader_threads});
  loader.next();  // opens and warms up
  std::int64_t samples = 0;
  const double begin = core::monotonic_seconds();
  do {
    samples += static_cast<std::int64_t>(loader.next().samples.size());
  } while (core::monotonic_seconds() - begin < seconds);
  lines.push_back(judge_rate(samples, core::monotonic_seconds() - begin, info));
  return lines;
}

}  // namespace pathline::apps
