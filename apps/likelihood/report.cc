// SPDX-License-Identifier: Apache-2.0
#include "apps/likelihood/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <span>

#include "core/error.h"
#include "core/file_system.h"
#include "core/log.h"
#include "data/npz.h"
#include "sampler/record.h"

namespace pathline::apps {
namespace {

/// Sums over the data.
struct Total {
  std::int64_t count = 0, failed = 0, nfe = 0;
  double sum = 0, squares = 0;  // of log p
  double probe_variance = 0;    // of the sum, as the probes show it

  void add(const sampler::LogDensity& density) {
    nfe += density.nfe;
    failed += sampler::failed(density.outcome);
    if (sampler::failed(density.outcome)) return;
    ++count;
    sum += density.log_p;
    squares += density.log_p * density.log_p;
    probe_variance += density.error * density.error;
  }

  double mean() const { return sum / static_cast<double>(count); }
  /// Of the mean: scatter of the data and of their estimates together.
  double error() const {
    const double n = static_cast<double>(count);
    return std::sqrt(std::max(0.0, squares / n - mean() * mean()) / std::max(1.0, n - 1));
  }
  double probe_error() const { return std::sqrt(probe_variance) / static_cast<double>(count); }
};

void print(const LikelihoodCommand& command, const Total& total, const data::SetInfo& info) {
  const bool images = info.kind == data::ItemKind::kImage;
  const auto dimensions = static_cast<std::int64_t>(info.item_values());
  const double per_nat = images ? 1 / (static_cast<double>(dimensions) * std::log(2.0)) : 1;
  const double value = images ? sampler::bits_per_dimension(total.mean(), dimensions) : -total.mean();
  const double nfe = static_cast<double>(total.nfe) / static_cast<double>(total.count + total.failed);
  const char* unit = images ? "bits_per_dimension" : "nats";
  if (command.json) {
    const nlohmann::ordered_json result = {{unit, value},
                                           {"standard_error", total.error() * per_nat},
                                           {"probe_standard_error", total.probe_error() * per_nat},
                                           {"mean_log_p", total.mean()},
                                           {"count", total.count},
                                           {"failed", total.failed},
                                           {"mean_nfe", nfe}};
    std::printf("%s\n", result.dump().c_str());
    return;
  }
  std::printf(
      "%.5f %s, standard error %.5f (of which %.5f by the probes); %lld items, %lld failed, %.1f evaluations "
      "each\n",
      value, images ? "bits per dimension" : "nats", total.error() * per_nat, total.probe_error() * per_nat,
      static_cast<long long>(total.count), static_cast<long long>(total.failed), nfe);
  if (!images) return;
  std::printf("x = (k + u - 1/2) / 127.5 - 1; bits = -log2 p / %lld + log2 127.5\n",
              static_cast<long long>(dimensions));
}

/// One array of one figure of all items.
template <class Value>
void add_column(data::NpzWriter& writer, const char* name, const char* dtype,
                const std::vector<sampler::LogDensity>& densities, Value (*value)(const sampler::LogDensity&)) {
  std::vector<Value> values;
  for (const sampler::LogDensity& density : densities) values.push_back(value(density));
  writer.begin(name, dtype, {static_cast<std::int64_t>(values.size())});
  writer.append(std::as_bytes(std::span(values)));
}

void write(const std::string& path, const std::vector<sampler::LogDensity>& densities) {
  using sampler::LogDensity;
  core::PosixFileSystem files;
  data::NpzWriter writer(files, path);
  add_column<std::int64_t>(writer, "ids", "i8", densities, [](const LogDensity& one) { return one.id; });
  add_column<double>(writer, "log_p", "f8", densities, [](const LogDensity& one) { return one.log_p; });
  add_column<double>(writer, "probe_error", "f8", densities, [](const LogDensity& one) { return one.error; });
  add_column<std::int64_t>(writer, "nfe", "i8", densities, [](const LogDensity& one) { return one.nfe; });
  add_column<std::uint8_t>(writer, "status", "u1", densities, [](const LogDensity& one) {
    using enum sampler::SampleStatus;
    return static_cast<std::uint8_t>(sampler::failed(one.outcome) ? kFailed : kDone);
  });
  writer.finish();
}

}  // namespace

void report(const LikelihoodCommand& command, const std::vector<sampler::LogDensity>& densities,
            const data::SetInfo& info) {
  Total total;
  for (const sampler::LogDensity& density : densities) total.add(density);
  PL_CHECK(total.count > 0, core::ExitCode::kNumerical, "all ", total.failed,
           " solves failed (not finite, steps too short or too many). Loosen --rtol and --atol.");
  if (total.failed > 0) core::log_warning(total.failed, " items failed and are left out");
  if (!command.output.empty()) write(command.output, densities);
  print(command, total, info);
}

}  // namespace pathline::apps
