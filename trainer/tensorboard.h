// SPDX-License-Identifier: Apache-2.0
// TensorBoard event files: TFRecord frames (u64 length, masked CRC32C of it, bytes, masked CRC32C of them) around the
// protocol buffers Event and Summary of TensorFlow, of which only scalars are written.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "trainer/report_file.h"

namespace pathline::trainer {

class TensorBoardWriter {
 public:
  /// Starts a new file events.out.tfevents.SECONDS.HOST.PID in `directory`, which must exist. Throws
  /// ExitCode::kEnvironment.
  explicit TensorBoardWriter(const std::string& directory);

  /// One event with all `scalars` at `step`, which a running TensorBoard sees. What storage refuses is lost.
  void write(std::uint64_t step, double wall_seconds, const std::map<std::string, double>& scalars);

 private:
  ReportFile file_;
};

/// One frame, exposed for tests.
std::string tfrecord_frame(const std::string& bytes);
/// A serialized Event with a Summary of simple values.
std::string scalar_event(std::uint64_t step, double wall_seconds, const std::map<std::string, double>& scalars);

}  // namespace pathline::trainer
