// SPDX-License-Identifier: Apache-2.0
// What a run reports: metrics.jsonl (one object a report), TensorBoard scalars and the progress line. Rank 0 only; the
// other ranks hold a silent one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "core/progress.h"

namespace pathline::trainer {

class TensorBoardWriter;

class Telemetry {
 public:
  /// `directory` is the run's; this start begins after `first_step` steps. `written` false: nothing is written or shown.
  Telemetry(const std::string& directory, std::int64_t first_step, std::int64_t total_steps, bool written);
  ~Telemetry();

  /// One report. `kind` is "train", "validation", "start" or "checkpoint".
  void report(const std::string& kind, std::uint64_t step, const std::map<std::string, double>& values);
  /// Text facts, into metrics.jsonl alone.
  void note(const std::string& kind, std::uint64_t step, const std::map<std::string, std::string>& facts);
  void progress(std::int64_t step, const std::string& detail);
  void finish(const std::string& detail);

 private:
  void append_line(const std::string& line);

  bool written_;
  std::string path_;
  std::unique_ptr<TensorBoardWriter> tensorboard_;
  core::Progress progress_;
};

/// Peak resident memory of this process in bytes (VmHWM).
double peak_memory_bytes();

}  // namespace pathline::trainer
