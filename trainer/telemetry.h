// SPDX-License-Identifier: Apache-2.0
// What a run reports: metrics.jsonl (one object a report), TensorBoard scalars, Prometheus and the progress line. Rank
// 0 only; the other ranks hold a silent one. After the start nothing here throws for storage (report_file.h).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "cluster/communicator.h"
#include "core/progress.h"
#include "trainer/report_file.h"

namespace pathline::trainer {

class PrometheusServer;
class TensorBoardWriter;

class Telemetry {
 public:
  /// `directory` is the run's; this start begins after `first_step` steps. `prometheus` is log.prometheus. Collective.
  Telemetry(const std::string& directory, const std::string& prometheus, std::int64_t first_step,
            std::int64_t total_steps, cluster::Communicator& ranks);
  ~Telemetry();

  /// One report. `kind` is "train", "norms", "validation", "start" or "checkpoint".
  void report(const std::string& kind, std::uint64_t step, const std::map<std::string, double>& values);
  /// Text facts, into metrics.jsonl alone.
  void note(const std::string& kind, std::uint64_t step, const std::map<std::string, std::string>& facts);
  void progress(std::int64_t step, const std::string& detail);
  void finish(const std::string& detail);

 private:
  void serve(const std::string& kind, std::uint64_t step, const std::map<std::string, double>& values);

  bool written_;
  ReportFile lines_;
  std::unique_ptr<TensorBoardWriter> tensorboard_;
  std::unique_ptr<PrometheusServer> prometheus_;
  std::map<std::string, double> served_;  // the latest of every name
  core::Progress progress_;
};

/// "12.3 GFLOP/s", "1.05 PFLOP/s".
std::string human_flops_rate(double flops_per_second);

/// Peak resident memory of this process in bytes (VmHWM).
double peak_memory_bytes();

}  // namespace pathline::trainer
