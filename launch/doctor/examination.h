// SPDX-License-Identifier: Apache-2.0
// The probing process: looks at one thing after the other, each within a deadline, and tells its supervisor.
//
// Note [Two processes]: what is looked at may hang in the kernel (a dead file server), stop the whole process (MPI_Init
// on an error, a crash in a library) or keep it from starting (a missing library). So `pathline-doctor`, which needs
// none of these libraries, starts `pathline-doctor-probe`, reads its lines from a pipe and says what it ended of.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "launch/doctor/line.h"

namespace pathline::doctor {

class Examination {
 public:
  /// `seconds`: for everything together.
  Examination(int rank, double seconds);

  using Probe = std::function<std::vector<Line>()>;
  using Hung = std::function<Line(double waited)>;

  /// Runs `probe` on a thread of its own and tells its lines. An error it throws is a broken line `name`. Where it does
  /// not return within `seconds` (or the time that is left), the line `hung` gives is told, the thread is left behind
  /// and false returned. What the probe refers to must live until the process ends.
  bool look(const std::string& name, double seconds, const Hung& hung, const Probe& probe);
  /// With a line that says so and what to do about it.
  bool look(const std::string& name, double seconds, const std::string& advice, const Probe& probe);

  /// Tells a line about this rank, or another one's as it is.
  void tell(Line line);
  void pass_on(const Line& line);

  const std::vector<Line>& lines() const { return lines_; }
  bool hung() const { return hung_; }
  double seconds_left() const;

 private:
  int rank_;
  double end_;
  bool hung_ = false;
  std::vector<Line> lines_;
};

/// A broken line of an error's paragraph: its last sentence is the advice.
Line broken_by(const std::string& name, const std::string& paragraph);

/// What the probing process says on its stdout, as the supervisor understands it.
inline constexpr const char* kBegins = "@begins ";  // what it looks at next
inline constexpr const char* kLine = "@line ";      // a line as JSON
inline constexpr const char* kEnded = "@ended ";    // kDelivered: rank 0 has the lines; else they are to be shown here
inline constexpr const char* kDelivered = "delivered";
void say(const char* what, const std::string& text);

}  // namespace pathline::doctor
