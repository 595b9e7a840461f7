// SPDX-License-Identifier: Apache-2.0
#include "cluster/mpi_communicator.h"

#include <mpi.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include "cluster/exit_deadline.h"
#include "cluster/reduction.h"
#include "core/error.h"

namespace pathline::cluster {
namespace {

constexpr int kMessageTag = 1;  // all_to_all() uses 0

/// The one check of every MPI call.
void checked(const char* call, int result) {
  if (result == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(result, text, &length);
  throw core::Error(core::ExitCode::kEnvironment,
                    core::concat(call, " failed: ", std::string(text, length),
                                 " (the ranks can no longer work together). Check that all hosts "
                                 "reach each other and have the same MPI."));
}

MPI_Op op_of(Reduction reduction) {
  switch (reduction) {
    case Reduction::kSum:
      return MPI_SUM;
    case Reduction::kMin:
      return MPI_MIN;
    case Reduction::kMax:
      return MPI_MAX;
    case Reduction::kBitOr:
      return MPI_BOR;
  }
  return MPI_OP_NULL;
}

/// Note [Waiting politely]: MPI's own waits take a whole core, which on a machine without GPUs is the one that computes
/// the gradients, or the one that the rank waited for needs: where ranks and their threads share cores, a step then
/// takes seconds or minutes. So no wait for another rank is left to MPI. It is looked often for as long as a short
/// message takes, then now and then.
template <class Done>
void wait_politely(const Done& done) {
  constexpr int kEager = 200;
  constexpr std::chrono::microseconds kNap{100};
  for (int looks = 0; !done(); ++looks) {
    if (looks > kEager) std::this_thread::sleep_for(kNap);
  }
}

/// A non-blocking call in memory of its own: while an exception unwinds it is left to MPI, which may still write to it,
/// instead of waiting for ranks that may never come.
class MpiRequest final : public Request {
 public:
  /// start(bytes, request) makes the call in a copy of `content`; what stands there at the end goes to `result`, which
  /// is as long, or empty.
  template <class Start>
  MpiRequest(std::span<const std::byte> content, std::span<std::byte> result, const Start& start)
      : result_(result), exceptions_(std::uncaught_exceptions()) {
    buffer_ = std::make_unique<std::vector<std::byte>>(content.begin(), content.end());
    start(std::span(*buffer_), &request_);
  }

  ~MpiRequest() override {
    if (!buffer_) return;
    if (std::uncaught_exceptions() > exceptions_) {
      static_cast<void>(buffer_.release());
    } else {
      int flag = 0;
      wait_politely([&] { return MPI_Test(&request_, &flag, MPI_STATUS_IGNORE) != MPI_SUCCESS || flag; });
      collect();
    }
  }

  bool done() override {
    if (!buffer_) return true;
    int flag = 0;
    checked("MPI_Test", MPI_Test(&request_, &flag, MPI_STATUS_IGNORE));
    if (flag) collect();
    return flag != 0;
  }

  void wait() override {
    wait_politely([this] { return done(); });
  }

 private:
  void collect() {
    if (!result_.empty()) std::copy(buffer_->begin(), buffer_->end(), result_.begin());
    buffer_.reset();
  }

  std::span<std::byte> result_;
  int exceptions_;
  std::unique_ptr<std::vector<std::byte>> buffer_;  // empty once complete
  MPI_Request request_ = MPI_REQUEST_NULL;
};

class MpiCommunicator final : public Communicator {
 public:
  /// Owns `comm`, unless it is MPI_COMM_WORLD.
  MpiCommunicator(MPI_Comm comm, std::size_t largest_message)
      : comm_(comm), limit_(largest_message), exceptions_(std::uncaught_exceptions()) {
    checked("MPI_Comm_rank", MPI_Comm_rank(comm_, &rank_));
    checked("MPI_Comm_size", MPI_Comm_size(comm_, &size_));
  }
  ~MpiCommunicator() override {
    if (comm_ != MPI_COMM_WORLD && std::uncaught_exceptions() == exceptions_) MPI_Comm_free(&comm_);  // collective
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  void barrier() override {
    finish("MPI_Ibarrier", [&](MPI_Request* request) { return MPI_Ibarrier(comm_, request); });
  }

  void broadcast(std::span<std::byte> data, int root) override {
    for_pieces(data.size(), [&](std::size_t begin, int length) {
      finish("MPI_Ibcast", [&](MPI_Request* request) {
        return MPI_Ibcast(data.data() + begin, length, MPI_BYTE, root, comm_, request);
      });
    });
  }

  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    PL_ASSERT(all.size() == mine.size() * size_);
    if (all.size() <= limit_) {
      const int length = static_cast<int>(mine.size());
      finish("MPI_Iallgather", [&](MPI_Request* request) {
        return MPI_Iallgather(mine.data(), length, MPI_BYTE, all.data(), length, MPI_BYTE, comm_, request);
      });
      return;
    }
    std::vector<std::size_t> offsets(size_ + 1);
    for (int r = 0; r <= size_; ++r) offsets[r] = r * mine.size();
    std::copy(mine.begin(), mine.end(), all.begin() + offsets[rank_]);
    all_gather_in_place(all, offsets);
  }

  void all_gather_in_place(std::span<std::byte> all, std::span<const std::size_t> offsets) override;
  void all_to_all(std::span<const std::span<const std::byte>> send,
                  std::span<const std::span<std::byte>> receive) override;

  void all_reduce(std::span<double> values, Reduction reduction) override {
    std::vector<double> all(values.size() * size_);
    all_gather(std::as_bytes(values), std::as_writable_bytes(std::span(all)));
    std::copy_n(all.begin(), values.size(), values.begin());
    for (int r = 1; r < size_; ++r) {
      const auto next = std::span(all).subspan(r * values.size(), values.size());
      combine_into<double>(values, next, reduction);
    }
  }

  void all_reduce(std::span<std::int64_t> values, Reduction reduction) override {
    for_pieces(values.size_bytes(), sizeof(std::int64_t), [&](std::size_t begin, int length) {
      finish("MPI_Iallreduce", [&](MPI_Request* request) {
        return MPI_Iallreduce(MPI_IN_PLACE, values.data() + begin, length, MPI_INT64_T, op_of(reduction), comm_,
                              request);
      });
    });
  }

  void reduce_scatter(std::span<const float> in, std::span<const std::size_t> offsets, std::span<float> out) override;

  std::unique_ptr<Request> start_all_reduce(std::span<std::int64_t> values, Reduction reduction) override {
    PL_ASSERT(values.size_bytes() <= limit_);
    const auto start = [&](std::span<std::byte> bytes, MPI_Request* request) {
      checked("MPI_Iallreduce", MPI_Iallreduce(MPI_IN_PLACE, bytes.data(), static_cast<int>(values.size()), MPI_INT64_T,
                                               op_of(reduction), comm_, request));
    };
    return std::make_unique<MpiRequest>(std::as_bytes(values), std::as_writable_bytes(values), start);
  }

  std::unique_ptr<Communicator> subset(std::span<const int> members) override {
    const auto place = std::find(members.begin(), members.end(), rank_);
    PL_ASSERT(place != members.end());
    const int key = static_cast<int>(place - members.begin());
    MPI_Comm part = MPI_COMM_NULL;
    barrier();  // there is no split that could be waited for politely: nobody begins it before all have come
    checked("MPI_Comm_split", MPI_Comm_split(comm_, members.front(), key, &part));
    return std::make_unique<MpiCommunicator>(part, limit_);
  }

  /// Synchronous: done means that the receiver has taken it, however short it is.
  std::unique_ptr<Request> start_send(std::span<const std::byte> message, int to) override {
    const auto start = [&](std::span<std::byte> bytes, MPI_Request* request) {
      checked("MPI_Issend",
              MPI_Issend(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, to, kMessageTag, comm_, request));
    };
    return std::make_unique<MpiRequest>(message, std::span<std::byte>{}, start);
  }

  std::optional<int> receive_arrived(std::span<std::byte> message) override {
    int arrived = 0;
    MPI_Status status;
    checked("MPI_Iprobe", MPI_Iprobe(MPI_ANY_SOURCE, kMessageTag, comm_, &arrived, &status));
    if (!arrived) return std::nullopt;
    checked("MPI_Recv", MPI_Recv(message.data(), static_cast<int>(message.size()), MPI_BYTE, status.MPI_SOURCE,
                                 kMessageTag, comm_, MPI_STATUS_IGNORE));
    return status.MPI_SOURCE;
  }

  void cancel() override { cancelled_ = true; }

  [[noreturn]] void abort(int exit_code) override {
    const ExitDeadline deadline(kLongestEnding, exit_code, "MPI_Abort does not return; this process ends by itself\n");
    std::fflush(nullptr);
    MPI_Abort(MPI_COMM_WORLD, exit_code);
    std::_Exit(exit_code);
  }

 private:
  /// Calls piece(begin, length) for `bytes` cut into messages, counted in elements of `element` bytes.
  template <class Piece>
  void for_pieces(std::size_t bytes, std::size_t element, const Piece& piece) const {
    const std::size_t most = std::max<std::size_t>(1, limit_ / element);
    for (std::size_t begin = 0; begin < bytes / element; begin += most) {
      piece(begin, static_cast<int>(std::min(most, bytes / element - begin)));
    }
  }
  template <class Piece>
  void for_pieces(std::size_t bytes, const Piece& piece) const {
    for_pieces(bytes, 1, piece);
  }

  /// start(request) begins a call; returns when it is complete.
  template <class Start>
  void finish(const char* call, const Start& start) const {
    MPI_Request request = MPI_REQUEST_NULL;
    checked(call, start(&request));
    finish(std::span(&request, 1));
  }
  void finish(std::span<MPI_Request> requests) const;

  MPI_Comm comm_;
  std::size_t limit_;
  int exceptions_;
  std::atomic<bool> cancelled_ = false;
  int rank_ = 0;
  int size_ = 1;
};

void MpiCommunicator::finish(std::span<MPI_Request> requests) const {
  wait_politely([&] {
    int done = 0;
    checked("MPI_Testall", MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE));
    PL_CHECK(done || !cancelled_, core::ExitCode::kRankLost, "This rank has given up a collective.");
    return done != 0;
  });
}

void MpiCommunicator::all_to_all(std::span<const std::span<const std::byte>> send,
                                 std::span<const std::span<std::byte>> receive) {
  PL_ASSERT(static_cast<int>(send.size()) == size_ && static_cast<int>(receive.size()) == size_);
  PL_ASSERT(send[rank_].size() == receive[rank_].size());
  std::vector<MPI_Request> requests;
  const auto next_request = [&] { return &requests.emplace_back(MPI_REQUEST_NULL); };
  for (int r = 0; r < size_; ++r) {
    if (r == rank_) continue;
    for_pieces(receive[r].size(), [&](std::size_t begin, int length) {
      checked("MPI_Irecv", MPI_Irecv(receive[r].data() + begin, length, MPI_BYTE, r, 0, comm_, next_request()));
    });
  }
  for (int step = 1; step < size_; ++step) {
    const int r = (rank_ + step) % size_;  // not everyone to rank 0 first
    for_pieces(send[r].size(), [&](std::size_t begin, int length) {
      checked("MPI_Isend", MPI_Isend(send[r].data() + begin, length, MPI_BYTE, r, 0, comm_, next_request()));
    });
  }
  if (send[rank_].data() != receive[rank_].data()) {
    std::copy(send[rank_].begin(), send[rank_].end(), receive[rank_].begin());
  }
  finish(requests);
}

void MpiCommunicator::all_gather_in_place(std::span<std::byte> all, std::span<const std::size_t> offsets) {
  PL_ASSERT(static_cast<int>(offsets.size()) == size_ + 1 && offsets.back() <= all.size());
  const auto part = [&](int r) { return all.subspan(offsets[r], offsets[r + 1] - offsets[r]); };
  if (offsets.back() <= limit_) {
    std::vector<int> counts, begins;
    for (int r = 0; r < size_; ++r) {
      counts.push_back(static_cast<int>(part(r).size()));
      begins.push_back(static_cast<int>(offsets[r]));
    }
    finish("MPI_Iallgatherv", [&](MPI_Request* request) {
      return MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_BYTE, all.data(), counts.data(), begins.data(), MPI_BYTE, comm_,
                             request);
    });
    return;
  }
  std::vector<std::span<const std::byte>> send(size_, part(rank_));
  std::vector<std::span<std::byte>> receive;
  for (int r = 0; r < size_; ++r) receive.push_back(part(r));
  all_to_all(send, receive);
}

void MpiCommunicator::reduce_scatter(std::span<const float> in, std::span<const std::size_t> offsets,
                                     std::span<float> out) {
  PL_ASSERT(static_cast<int>(offsets.size()) == size_ + 1 && offsets.back() <= in.size());
  PL_ASSERT(out.size() == offsets[rank_ + 1] - offsets[rank_]);
  const bool whole = offsets[0] == 0 && in.size_bytes() <= limit_;
  std::vector<int> counts;
  for (int r = 0; r < size_ && whole; ++r) {
    counts.push_back(static_cast<int>(offsets[r + 1] - offsets[r]));
  }
  if (whole) {
    finish("MPI_Ireduce_scatter", [&](MPI_Request* request) {
      return MPI_Ireduce_scatter(in.data(), out.data(), counts.data(), MPI_FLOAT, MPI_SUM, comm_, request);
    });
    return;
  }
  for (int r = 0; r < size_; ++r) {
    const auto part = in.subspan(offsets[r], offsets[r + 1] - offsets[r]);
    for_pieces(part.size_bytes(), sizeof(float), [&](std::size_t begin, int length) {
      finish("MPI_Ireduce", [&](MPI_Request* request) {
        return MPI_Ireduce(part.data() + begin, out.data() + begin, length, MPI_FLOAT, MPI_SUM, r, comm_, request);
      });
    });
  }
}

}  // namespace

std::unique_ptr<Communicator> make_mpi_communicator(std::size_t largest_message) {
  PL_ASSERT(largest_message <= kLargestMessage);
  MPI_Comm all = MPI_COMM_NULL;
  checked("MPI_Comm_dup", MPI_Comm_dup(MPI_COMM_WORLD, &all));
  return std::make_unique<MpiCommunicator>(all, largest_message);
}

MpiSession::MpiSession(FirstContact contact) : exceptions_(std::uncaught_exceptions()) {
  int provided = MPI_THREAD_SINGLE;
  checked("MPI_Init_thread", MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided));
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);  // inherited by all others
  PL_CHECK(provided == MPI_THREAD_MULTIPLE, core::ExitCode::kEnvironment, "MPI gives thread level ", provided,
           " instead of MPI_THREAD_MULTIPLE (checkpoints and "
           "the control word use it from other threads). Use an MPI built with thread support.");
  world_ = contact == FirstContact::kTogether ? make_mpi_communicator()
                                              : std::make_unique<MpiCommunicator>(MPI_COMM_WORLD, kLargestMessage);
}

MpiSession::~MpiSession() {
  if (std::uncaught_exceptions() > exceptions_) {
    world_->abort(static_cast<int>(core::ExitCode::kInternal));
  }
  world_.reset();
  MPI_Finalize();
}

}  // namespace pathline::cluster
