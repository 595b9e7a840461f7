// SPDX-License-Identifier: Apache-2.0
// A file that a run's reports go to. Training does not end for it: what storage refuses is lost, counted and said.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pathline::trainer {

/// Adds `bytes` at the end of a file, all or nothing: of what fails halfway nothing stays, as torn lines and frames
/// make all that follow them unreadable. Makes the file if need be. Throws ExitCode::kEnvironment.
void append_whole(const std::string& path, std::string_view bytes);

class ReportFile {
 public:
  /// `unit`: what one append is, for people ("lines").
  ReportFile(std::string path, std::string unit);

  /// Never throws for storage: one warning when it begins to fail, another one when it works again. Returns whether
  /// the bytes are in the file.
  bool append(std::string_view bytes);

  const std::string& path() const { return path_; }
  std::int64_t lost() const { return lost_; }  // since it last worked

 private:
  std::string path_, unit_;
  std::int64_t lost_ = 0;
};

}  // namespace pathline::trainer
