// SPDX-License-Identifier: Apache-2.0
// Progress of long work: a redrawn line on a terminal, one line every few seconds otherwise. Always to stderr.
#pragma once

#include <cstdint>
#include <string>

#include "core/machine.h"

namespace pathline::core {

/// "import: 500 / 1000 images (50 %), 100 images/s, 5.00 s left, DETAIL"; `total` 0 means unknown. `begun` of the units
/// were done before the `seconds` that the rate is taken over.
std::string progress_line(const std::string& what, std::int64_t done, std::int64_t total, const std::string& unit,
                          double seconds, const std::string& detail, std::int64_t begun = 0);

class Progress {
 public:
  /// `what` is shown first ("import"); `total` units of `unit` ("images") make 100 %. `shown` false (other ranks):
  /// silent. `begun`: units that were done before, when work goes on.
  Progress(std::string what, std::int64_t total, std::string unit, bool shown = true, std::int64_t begun = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` units are done by now; `detail` is appended (rates, losses). Cheap: draws at most ten times a second.
  void update(std::int64_t done, const std::string& detail = "");
  /// Draws the final state and ends the line; the destructor does so if it was not called.
  void finish(const std::string& detail = "");

 private:
  void draw(std::int64_t done, const std::string& detail);

  std::string what_;
  std::int64_t total_;
  std::string unit_;
  bool shown_;
  bool terminal_;
  bool finished_ = false;
  std::int64_t begun_;
  std::int64_t done_;
  double start_;
  double last_drawn_;
};

}  // namespace pathline::core
