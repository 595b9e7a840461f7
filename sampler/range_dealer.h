// SPDX-License-Identifier: Apache-2.0
// Ranges of ids dealt to ranks as they ask: no rank waits for the slowest. Rank 0 keeps the list; a thread of its own
// answers the others, since rank 0 makes samples, too.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "cluster/communicator.h"
#include "sampler/record.h"
#include "sampler/timed_work.h"

namespace pathline::sampler {

struct Dealing {
  std::int64_t first_range = 64;  // ids that a rank gets before its speed is known
  std::int64_t most = 1 << 20;    // ids in a range, at most
  double seconds = kSecondsOfRange;
};

/// How many ids a rank gets that makes `rate` samples a second (0: not known yet), with `left` still to be dealt: about
/// dealing.seconds of work, and less towards the end, so that all ranks end together. At least 1. Pure.
std::int64_t next_count(const Dealing& dealing, int ranks, std::int64_t left, double rate);

/// What a rank has done, for the progress of all.
struct Tally {
  std::int64_t done = 0, failed = 0, nfe = 0, useful_rows = 0, evaluated_rows = 0;
};

class RangeDealer {
 public:
  /// Collective. `open`: the ids to be made, as rank 0 knows them; not looked at on other ranks.
  RangeDealer(cluster::Communicator& ranks, const std::vector<IdRange>& open, const Dealing& dealing);
  /// Collective, but for a rank that ends with an exception. Ranges that were not taken are dropped.
  ~RangeDealer();
  RangeDealer(const RangeDealer&) = delete;
  RangeDealer& operator=(const RangeDealer&) = delete;

  /// The next range of this rank; nothing once all are dealt or a rank gave up. Asks for the one after it at once, so
  /// that the answer is there when it is needed. `rate`: samples a second of this rank so far.
  std::optional<IdRange> take(double rate);
  /// No rank gets anything more.
  void give_up();

  /// Tells rank 0 how far this rank is, at most once a second.
  void report(const Tally& tally);
  /// Of all ranks as far as they have reported. Rank 0.
  Tally total();

 private:
  struct Message;
  enum class Kind : std::int64_t { kTake, kReport, kGiveUp, kGoodbye, kRange };

  IdRange deal(double rate);
  void ask(double rate);
  IdRange answer();
  void tell(Kind kind, const Tally& tally);
  void serve();
  bool serve_once();
  void handle(const Message& message, int from);

  std::unique_ptr<cluster::Communicator> ranks_;
  const Dealing dealing_;

  // other ranks: what this rank has under way
  bool asked_ = false, finished_ = false;
  std::unique_ptr<cluster::Request> question_, told_;
  double reported_at_ = 0;

  // rank 0
  std::mutex mutex_;  // guards what follows
  std::deque<IdRange> open_;
  std::int64_t left_ = 0;
  std::vector<Tally> tallies_;
  std::vector<std::unique_ptr<cluster::Request>> answers_;  // of the thread
  int present_ = 0;                                         // likewise: other ranks that have not said goodbye
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace pathline::sampler
