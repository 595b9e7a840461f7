// SPDX-License-Identifier: Apache-2.0
#include "trainer/telemetry.h"

#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "cluster/agree.h"
#include "core/file_system.h"
#include "trainer/prometheus.h"
#include "trainer/tensorboard.h"

namespace pathline::trainer {
namespace {

nlohmann::ordered_json header(const std::string& kind, std::uint64_t step) {
  return {{"kind", kind}, {"step", step}, {"time", core::wall_seconds()}};
}

}  // namespace

Telemetry::Telemetry(const std::string& directory, const std::string& prometheus, std::int64_t first_step,
                     std::int64_t total_steps, cluster::Communicator& ranks)
    : written_(ranks.rank() == 0),
      lines_(core::join_path(directory, "metrics.jsonl"), "lines"),
      progress_("train", total_steps, "steps", written_, first_step) {
  cluster::together(ranks, [&] {
    if (!written_) return;
    tensorboard_ = std::make_unique<TensorBoardWriter>(directory);
    if (!prometheus.empty()) prometheus_ = std::make_unique<PrometheusServer>(prometheus);
  });
}

Telemetry::~Telemetry() = default;

void Telemetry::report(const std::string& kind, std::uint64_t step, const std::map<std::string, double>& values) {
  if (!written_) return;
  auto line = header(kind, step);
  std::map<std::string, double> scalars;
  for (const auto& [name, value] : values) {
    if (std::isfinite(value))
      line[name] = value;
    else
      line[name] = nullptr;  // JSON has no infinity
    scalars[kind + "/" + name] = value;
  }
  lines_.append(line.dump() + '\n');
  tensorboard_->write(step, core::wall_seconds(), scalars);
  if (prometheus_) serve(kind, step, values);
}

/// Figures of training have plain names, others are named after their kind.
void Telemetry::serve(const std::string& kind, std::uint64_t step, const std::map<std::string, double>& values) {
  served_["step"] = static_cast<double>(step);
  for (const auto& [name, value] : values) served_[kind == "train" ? name : kind + "_" + name] = value;
  prometheus_->publish(prometheus_text(served_));
}

void Telemetry::note(const std::string& kind, std::uint64_t step, const std::map<std::string, std::string>& facts) {
  if (!written_) return;
  auto line = header(kind, step);
  for (const auto& [name, fact] : facts) line[name] = fact;
  lines_.append(line.dump() + '\n');
}

void Telemetry::progress(std::int64_t step, const std::string& detail) { progress_.update(step, detail); }

void Telemetry::finish(const std::string& detail) { progress_.finish(detail); }

std::string human_flops_rate(double flops_per_second) {
  constexpr std::pair<double, const char*> kUnits[] = {{1e15, "PFLOP/s"}, {1e12, "TFLOP/s"}, {1e9, "GFLOP/s"}};
  const auto* unit = kUnits;
  while (unit + 1 != std::end(kUnits) && flops_per_second < unit->first) ++unit;
  char text[64];
  std::snprintf(text, sizeof(text), "%.3g %s", flops_per_second / unit->first, unit->second);
  return text;
}

double peak_memory_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    double kib = 0;
    if (word == "VmHWM:" && status >> kib) return kib * 1024;
  }
  return 0;
}

}  // namespace pathline::trainer
