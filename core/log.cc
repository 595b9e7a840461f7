// SPDX-License-Identifier: Apache-2.0
#include "core/log.h"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

namespace pathline::core {
namespace {

constexpr const char* kPattern = "%Y-%m-%d %H:%M:%S %v";

std::shared_ptr<spdlog::sinks::sink> stderr_sink() {
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  // On a terminal a line first wipes the progress line it lands on.
  const std::string wipe = ::isatty(STDERR_FILENO) ? "\r\x1b[K" : "";
  sink->set_pattern(wipe + kPattern);
  return sink;
}

std::shared_ptr<spdlog::sinks::sink> file_sink(const std::string& path) {
  try {
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path);
    sink->set_pattern(kPattern);
    return sink;
  } catch (const spdlog::spdlog_ex& error) {
    throw Error(ExitCode::kEnvironment, concat("cannot append to the log file ", path, ": ", error.what(),
                                               ". Check the directory's permissions, or give another log.file."));
  }
}

std::shared_ptr<spdlog::logger> make_logger(const LogOptions& options) {
  std::vector<std::shared_ptr<spdlog::sinks::sink>> sinks{stderr_sink()};
  if (options.rank == 0 && !options.file.empty()) sinks.push_back(file_sink(options.file));
  auto logger = std::make_shared<spdlog::logger>("pathline", sinks.begin(), sinks.end());
  logger->set_level(spdlog::level::trace);
  logger->flush_on(spdlog::level::trace);  // lines are few, and a killed process must not lose its last ones
  return logger;
}

/// The process's log: the one place in this library with state of its own, as stderr has.
struct Log {
  std::mutex mutex;
  std::shared_ptr<spdlog::logger> logger;
  std::string prefix;
  LogLevel level = LogLevel::kInfo;
};

Log& process_log() {
  static Log log;
  return log;
}

const char* level_prefix(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug: ";
    case LogLevel::kInfo:
      return "";
    case LogLevel::kWarning:
      return "warning: ";
    case LogLevel::kError:
      return "error: ";
  }
  return "";
}

}  // namespace

void configure_log(const LogOptions& options) {
  auto logger = make_logger(options);
  Log& log = process_log();
  const std::lock_guard lock(log.mutex);
  log.logger = std::move(logger);
  log.prefix = options.rank == 0 ? "" : concat("rank ", options.rank, " of ", options.ranks, ": ");
  log.level = options.rank == 0 ? options.level : std::max(options.level, LogLevel::kWarning);
}

void log_line(LogLevel level, const std::string& text) {
  Log& log = process_log();
  const std::lock_guard lock(log.mutex);
  if (level < log.level) return;
  if (!log.logger) log.logger = make_logger(LogOptions{});
  log.logger->log(spdlog::level::info, spdlog::string_view_t(log.prefix + level_prefix(level) + text));
}

void append_to_log_file(const std::string& file, LogLevel level, const std::string& text) {
  spdlog::logger(file, file_sink(file)).log(spdlog::level::info, spdlog::string_view_t(level_prefix(level) + text));
}

}  // namespace pathline::core
