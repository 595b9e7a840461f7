// SPDX-License-Identifier: Apache-2.0
// Letters between ranks that may not reach each other: every wait has an end, and nothing is collective.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/communicator.h"

namespace pathline::doctor {

enum class Kind : std::uint32_t { kKnock, kKnocks, kVerdict, kLines };

struct Letter {
  int from = 0;
  Kind kind = Kind::kKnock;
  std::string text;
};

/// One thread uses it, and nothing else sends messages on its communicator.
class Mail {
 public:
  explicit Mail(cluster::Communicator& ranks) : ranks_(ranks) {}
  /// What was not taken is left to the communicator: the process is about to end.
  ~Mail();
  Mail(const Mail&) = delete;
  Mail& operator=(const Mail&) = delete;

  void send(int to, Kind kind, const std::string& text);
  /// The oldest letter of that kind that has come.
  std::optional<Letter> take(Kind kind);
  /// All that was sent to it has been taken.
  bool all_taken(int to);

  /// Calls `done` now and then until it returns true; false after `seconds`.
  bool wait(double seconds, const std::function<bool()>& done);

 private:
  void collect();

  cluster::Communicator& ranks_;
  std::map<int, std::vector<std::unique_ptr<cluster::Request>>> sent_;
  std::map<int, std::pair<Letter, std::size_t>> coming_;  // letters of which pieces are missing; bytes in all
  std::deque<Letter> letters_;
};

}  // namespace pathline::doctor
