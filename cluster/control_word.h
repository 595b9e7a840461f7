// SPDX-License-Identifier: Apache-2.0
// One word of flags a step that all ranks agree on, without waiting: what ranks say in step n, all know in step n + 1.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "cluster/communicator.h"

namespace pathline::cluster {

/// Flags of a control word.
inline constexpr std::uint64_t kStop = 1;        // write a checkpoint and end with ExitCode::kStopped
inline constexpr std::uint64_t kCheckpoint = 2;  // write a checkpoint and go on
inline constexpr std::uint64_t kSaving = 4;      // this rank still writes its part of a checkpoint
inline constexpr std::uint64_t kWallTime = 8;    // the job's time is nearly over

/// Once a step every rank calls collect(), acts on the word, and calls publish(): all ranks act on the same word in the
/// same step. The reduction runs on a communicator of its own beside everything else.
class ControlWord {
 public:
  /// Collective.
  explicit ControlWord(Communicator& ranks);

  /// Starts to combine (bit or) the flags of all ranks. The word published before must have been collected. Collective.
  void publish(std::uint64_t flags);

  /// The word of the last publish(), equal on all ranks; nothing if none is under way (first step). Collective.
  std::optional<std::uint64_t> collect();

 private:
  std::unique_ptr<Communicator> ranks_;
  std::int64_t word_ = 0;
  std::unique_ptr<Request> under_way_;
};

}  // namespace pathline::cluster
