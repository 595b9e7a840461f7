// SPDX-License-Identifier: Apache-2.0
// Who the other ranks are, and host-memory collectives with them. A value that is passed, never a global.
// Unless said otherwise every call is collective: all ranks of the communicator call it, in the same order.
// One thread at a time uses a communicator; give another thread its own by duplicate().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

namespace pathline::cluster {

enum class Reduction { kSum, kMin, kMax, kBitOr };

/// A collective that is under way. Destroying one that is not complete waits for it.
class Request {
 public:
  virtual ~Request() = default;
  /// True once complete; makes progress; never blocks. Local: ranks may ask at different times.
  virtual bool done() = 0;
  virtual void wait() = 0;
};

class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  virtual void barrier() = 0;
  virtual void broadcast(std::span<std::byte> data, int root) = 0;

  /// Parts of equal size; `all` holds size() of them in rank order.
  virtual void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) = 0;
  /// Rank r's part is all[offsets[r], offsets[r+1]) and already in place on rank r; afterwards `all` is complete
  /// everywhere. `offsets` has size()+1 entries (bytes) and is equal on all ranks.
  virtual void all_gather_in_place(std::span<std::byte> all, std::span<const std::size_t> offsets) = 0;

  /// send[r] goes to rank r and arrives in its receive[our rank]. Both ends know the sizes; empty spans cost nothing.
  virtual void all_to_all(std::span<const std::span<const std::byte>> send,
                          std::span<const std::span<std::byte>> receive) = 0;

  /// In place. Sums of floating point are in rank order on every implementation: ((r0 + r1) + r2) ...
  virtual void all_reduce(std::span<double> values, Reduction reduction) = 0;
  virtual void all_reduce(std::span<std::int64_t> values, Reduction reduction) = 0;

  /// out = sum over ranks of in[offsets[rank] .. offsets[rank+1]), in the library's own order (not bit-reproducible).
  /// `offsets` has size()+1 entries (elements).
  virtual void reduce_scatter(std::span<const float> in, std::span<const std::size_t> offsets,
                              std::span<float> out) = 0;

  /// Non-blocking all_reduce; `values` must live and stay untouched until the request is done.
  virtual std::unique_ptr<Request> start_all_reduce(std::span<std::int64_t> values, Reduction reduction) = 0;

  /// A new communicator of some ranks, in this order. Every rank calls it and names the ones it will be with, itself
  /// among them: the sets are equal or disjoint.
  virtual std::unique_ptr<Communicator> subset(std::span<const int> members) = 0;

  /// Not collective: a message to one other rank. Returns at once; the request is done when receive_arrived() there has
  /// taken the message (so a rank that has stopped holds up one message from each sender, and nobody).
  virtual std::unique_ptr<Request> start_send(std::span<const std::byte> message, int to) = 0;
  /// Not collective, never blocks: takes the next message that has arrived, if any, and returns its sender. All
  /// messages of one communicator have the size of `message`; those of one sender arrive in order.
  virtual std::optional<int> receive_arrived(std::span<std::byte> message) = 0;

  /// Not collective, from any thread: this rank's collectives here throw ExitCode::kRankLost, also the one under way.
  /// For a rank that gives up while another of its threads waits for ranks that may never come. Without effect where
  /// nobody can wait.
  virtual void cancel() {}

  /// Not collective: ends all ranks of the job now, with this exit code (67 where a rank hung or was lost).
  [[noreturn]] virtual void abort(int exit_code) = 0;
};

/// The same ranks once more, for another thread or another purpose. Collective.
std::unique_ptr<Communicator> duplicate(Communicator& ranks);

}  // namespace pathline::cluster
