// SPDX-License-Identifier: Apache-2.0
#include "launch/doctor/examination.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "core/error.h"
#include "core/machine.h"
#include "core/text.h"

namespace pathline::doctor {
namespace {

/// Shared with the probe's thread, which may outlive the wait for it.
struct Answer {
  std::mutex mutex;
  std::condition_variable there;
  std::optional<std::vector<Line>> lines;
};

std::vector<Line> lines_of(const std::string& name, const std::function<std::vector<Line>()>& probe) {
  try {
    return probe();
  } catch (const std::exception& error) {
    return {broken_by(name, error.what())};
  }
}

}  // namespace

Line broken_by(const std::string& name, const std::string& paragraph) {
  auto end = paragraph.size();
  while (end > 0 && (paragraph[end - 1] == '.' || paragraph[end - 1] == '\n')) --end;
  const auto cut = paragraph.rfind(". ", end);
  if (cut == std::string::npos) return broken(name, paragraph, "");
  return broken(name, paragraph.substr(0, cut), paragraph.substr(cut + 2, end - cut - 2));
}

void say(const char* what, const std::string& text) {
  const std::string line = what + text + "\n";
  for (std::size_t written = 0; written < line.size();) {
    const ssize_t count = ::write(STDOUT_FILENO, line.data() + written, line.size() - written);
    if (count <= 0) return;  // the supervisor is gone
    written += static_cast<std::size_t>(count);
  }
}

Examination::Examination(int rank, double seconds) : rank_(rank), end_(core::monotonic_seconds() + seconds) {}

double Examination::seconds_left() const { return std::max(0.0, end_ - core::monotonic_seconds()); }

bool Examination::look(const std::string& name, double seconds, const std::string& advice, const Probe& probe) {
  const auto hung = [&](double waited) {
    return broken(name, core::concat("has not answered within ", core::human_seconds(waited)), advice);
  };
  return look(name, seconds, hung, probe);
}

bool Examination::look(const std::string& name, double seconds, const Hung& hung, const Probe& probe) {
  say(kBegins, name);
  const double most = std::min(seconds, seconds_left());
  auto answer = std::make_shared<Answer>();
  std::thread([answer, name, probe] {
    auto lines = lines_of(name, probe);
    const std::lock_guard lock(answer->mutex);
    answer->lines = std::move(lines);
    answer->there.notify_all();
  }).detach();
  std::unique_lock lock(answer->mutex);
  if (!answer->there.wait_for(lock, std::chrono::duration<double>(most), [&] { return answer->lines.has_value(); })) {
    hung_ = true;
    tell(hung(most));
    return false;
  }
  for (Line& line : *answer->lines) tell(std::move(line));
  return true;
}

void Examination::tell(Line line) {
  line.rank = rank_;
  line.host = core::host_name();
  pass_on(line);
}

void Examination::pass_on(const Line& line) {
  say(kLine, json_of(line));
  lines_.push_back(line);
}

}  // namespace pathline::doctor
