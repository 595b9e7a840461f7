// SPDX-License-Identifier: Apache-2.0
// Talk to stderr (and a log file). Results go to stdout, never through here. spdlog stays in log.cc: its fmt and
// LibTorch's exclude each other.
#pragma once

#include <string>

#include "core/error.h"

namespace pathline::core {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

/// Where this process's lines go. Ranks other than 0 write warnings and errors only, prefixed with their rank.
struct LogOptions {
  int rank = 0;
  int ranks = 1;
  std::string file = "";  // appended to by rank 0 when not empty
  LogLevel level = LogLevel::kInfo;
};

void configure_log(const LogOptions& options);
void log_line(LogLevel level, const std::string& text);
/// A line in `file` alone: the last words of a rank whose log does not go there. Throws Error if it cannot be appended
/// to.
void append_to_log_file(const std::string& file, LogLevel level, const std::string& text);

template <class... Parts>
void log_info(const Parts&... parts) {
  log_line(LogLevel::kInfo, concat(parts...));
}
template <class... Parts>
void log_warning(const Parts&... parts) {
  log_line(LogLevel::kWarning, concat(parts...));
}
template <class... Parts>
void log_error(const Parts&... parts) {
  log_line(LogLevel::kError, concat(parts...));
}

}  // namespace pathline::core
