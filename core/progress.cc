// SPDX-License-Identifier: Apache-2.0
#include "core/progress.h"

#include <unistd.h>

#include <cstdio>
#include <utility>

#include "core/error.h"
#include "core/text.h"

namespace pathline::core {
namespace {

constexpr double kTerminalInterval = 0.1;  // seconds between redrawn lines
constexpr double kFileInterval = 5.0;      // seconds between lines of a log

/// Three significant digits: "0.52", "14.2", "1.83 k", "2.40 M".
std::string rate_text(double rate) {
  const char* unit = "";
  if (rate >= 999.5e3) {
    rate /= 1e6;
    unit = " M";
  } else if (rate >= 999.5) {
    rate /= 1e3;
    unit = " k";
  }
  char text[48];
  std::snprintf(text, sizeof text, "%.*f%s", rate < 9.995 ? 2 : rate < 99.95 ? 1 : 0, rate, unit);
  return text;
}

}  // namespace

std::string progress_line(const std::string& what, std::int64_t done, std::int64_t total, const std::string& unit,
                          double seconds, const std::string& detail, std::int64_t begun) {
  std::string line = concat(what, ": ", done);
  if (total > 0) line += concat(" / ", total);
  line += " " + unit;
  if (total > 0) line += concat(" (", static_cast<int>(100.0 * done / total), " %)");
  const double rate = seconds > 0 ? static_cast<double>(done - begun) / seconds : 0;
  if (rate > 0) line += concat(", ", rate_text(rate), " ", unit, "/s");
  if (rate > 0 && done < total) line += concat(", ", human_seconds((total - done) / rate), " left");
  if (total > 0 && done >= total) line += concat(", took ", human_seconds(seconds));
  if (!detail.empty()) line += ", " + detail;
  return line;
}

Progress::Progress(std::string what, std::int64_t total, std::string unit, bool shown, std::int64_t begun)
    : what_(std::move(what)),
      total_(total),
      unit_(std::move(unit)),
      shown_(shown),
      terminal_(::isatty(STDERR_FILENO) != 0),
      begun_(begun),
      done_(begun),
      start_(monotonic_seconds()),
      last_drawn_(terminal_ ? start_ - kTerminalInterval : start_) {}

Progress::~Progress() { finish(); }

void Progress::update(std::int64_t done, const std::string& detail) {
  done_ = done;
  if (!shown_ || finished_) return;
  const double now = monotonic_seconds();
  if (now - last_drawn_ < (terminal_ ? kTerminalInterval : kFileInterval)) return;
  last_drawn_ = now;
  draw(done, detail);
}

void Progress::finish(const std::string& detail) {
  if (!shown_ || finished_) return;
  finished_ = true;
  draw(done_, detail);
  if (terminal_) std::fputc('\n', stderr);
}

void Progress::draw(std::int64_t done, const std::string& detail) {
  const std::string line = progress_line(what_, done, total_, unit_, monotonic_seconds() - start_, detail, begun_);
  std::fprintf(stderr, terminal_ ? "\r%s\x1b[K" : "%s\n", line.c_str());
  std::fflush(stderr);
}

}  // namespace pathline::core
