// SPDX-License-Identifier: Apache-2.0
#include "cluster/thread_communicator.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <tuple>
#include <vector>

#include "cluster/reduction.h"
#include "cluster/thread_meeting.h"
#include "core/error.h"

namespace pathline::cluster {
namespace {

class ThreadRequest final : public Request {
 public:
  ThreadRequest(std::shared_ptr<Group> group, int rank, std::uint64_t number, std::span<std::int64_t> values,
                Reduction reduction)
      : group_(std::move(group)), number_(number), values_(values), reduction_(reduction) {
    const std::lock_guard lock(group_->hub->mutex);
    Pending& pending = group_->pending[number_];
    pending.parts.resize(group_->size());
    pending.parts[rank].assign(values.begin(), values.end());
    if (++pending.arrived == group_->size()) group_->hub->changed.notify_all();
  }

  ~ThreadRequest() override {
    if (done_ || std::uncaught_exceptions() > 0) return;
    try {
      wait();
    } catch (const core::Error&) {  // the failure is known; it reaches the caller from where it happened
    }
  }

  bool done() override {
    std::unique_lock lock(group_->hub->mutex);
    if (!done_ && complete()) collect();
    if (!done_ && (group_->hub->failure || group_->member_ended())) group_->throw_lost();
    return done_;
  }

  void wait() override {
    std::unique_lock lock(group_->hub->mutex);
    if (done_) return;
    group_->wait(lock, [&] { return complete(); });
    collect();
  }

 private:
  bool complete() const { return group_->pending.at(number_).arrived == group_->size(); }

  void collect() {
    Pending& pending = group_->pending.at(number_);
    std::copy(pending.parts[0].begin(), pending.parts[0].end(), values_.begin());
    for (std::size_t r = 1; r < pending.parts.size(); ++r) {
      combine_into<std::int64_t>(values_, pending.parts[r], reduction_);
    }
    done_ = true;
    if (++pending.collected == group_->size()) group_->pending.erase(number_);
  }

  std::shared_ptr<Group> group_;
  std::uint64_t number_;
  std::span<std::int64_t> values_;
  Reduction reduction_;
  bool done_ = false;
};

class ThreadSend final : public Request {
 public:
  ThreadSend(std::shared_ptr<Group> group, int to, std::shared_ptr<bool> taken)
      : group_(std::move(group)), to_(group_->members.at(to)), taken_(std::move(taken)) {}
  ~ThreadSend() override {
    std::unique_lock lock(group_->hub->mutex);
    group_->hub->changed.wait(lock, [&] { return *taken_ || lost(); });
  }

  bool done() override {
    const std::lock_guard lock(group_->hub->mutex);
    if (!*taken_ && lost()) group_->throw_lost();
    return *taken_;
  }

  void wait() override {
    std::unique_lock lock(group_->hub->mutex);
    group_->hub->changed.wait(lock, [&] { return *taken_ || lost(); });
    if (!*taken_) group_->throw_lost();
  }

 private:
  bool lost() const { return group_->hub->failure || group_->hub->ended[to_]; }

  std::shared_ptr<Group> group_;
  int to_;  // rank in the whole run
  std::shared_ptr<bool> taken_;
};

class ThreadCommunicator final : public Communicator {
 public:
  ThreadCommunicator(std::shared_ptr<Group> group, int rank) : group_(std::move(group)), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(group_->size()); }

  void barrier() override { Meeting(*group_, rank_, nullptr); }

  void broadcast(std::span<std::byte> data, int root) override {
    const Meeting meeting(*group_, rank_, &data);
    copy_bytes(meeting.of<std::span<std::byte>>(root), data);
  }

  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    PL_ASSERT(all.size() == mine.size() * group_->size());
    const Meeting meeting(*group_, rank_, &mine);
    for (int r = 0; r < size(); ++r) {
      copy_bytes(meeting.of<std::span<const std::byte>>(r), all.subspan(r * mine.size(), mine.size()));
    }
  }

  void all_gather_in_place(std::span<std::byte> all, std::span<const std::size_t> offsets) override {
    PL_ASSERT(offsets.size() == group_->size() + 1);
    const Meeting meeting(*group_, rank_, &all);
    for (int r = 0; r < size(); ++r) {
      const std::size_t length = offsets[r + 1] - offsets[r];
      copy_bytes(meeting.of<std::span<std::byte>>(r).subspan(offsets[r], length), all.subspan(offsets[r], length));
    }
  }

  void all_to_all(std::span<const std::span<const std::byte>> send,
                  std::span<const std::span<std::byte>> receive) override {
    PL_ASSERT(send.size() == group_->size() && receive.size() == group_->size());
    const Meeting meeting(*group_, rank_, &send);
    for (int r = 0; r < size(); ++r) {
      copy_bytes(meeting.of<std::span<const std::span<const std::byte>>>(r)[rank_], receive[r]);
    }
  }

  void all_reduce(std::span<double> values, Reduction reduction) override { all_reduce_of(values, reduction); }
  void all_reduce(std::span<std::int64_t> values, Reduction reduction) override { all_reduce_of(values, reduction); }

  void reduce_scatter(std::span<const float> in, std::span<const std::size_t> offsets, std::span<float> out) override {
    const std::size_t length = offsets[rank_ + 1] - offsets[rank_];
    PL_ASSERT(offsets.size() == group_->size() + 1 && out.size() == length);
    const Meeting meeting(*group_, rank_, &in);
    std::fill(out.begin(), out.end(), 0.0f);
    for (int r = 0; r < size(); ++r) {
      const auto part = meeting.of<std::span<const float>>(r).subspan(offsets[rank_], length);
      combine_into<float>(out, part, Reduction::kSum);
    }
  }

  std::unique_ptr<Request> start_all_reduce(std::span<std::int64_t> values, Reduction reduction) override {
    return std::make_unique<ThreadRequest>(group_, rank_, started_++, values, reduction);
  }

  std::unique_ptr<Communicator> subset(std::span<const int> members) override;

  std::unique_ptr<Request> start_send(std::span<const std::byte> message, int to) override {
    auto taken = std::make_shared<bool>(false);
    const std::lock_guard lock(group_->hub->mutex);
    group_->letters.at(to).push_back({rank_, {message.begin(), message.end()}, taken});
    return std::make_unique<ThreadSend>(group_, to, std::move(taken));
  }

  std::optional<int> receive_arrived(std::span<std::byte> message) override {
    const std::lock_guard lock(group_->hub->mutex);
    auto& letters = group_->letters[rank_];
    if (letters.empty()) return std::nullopt;
    const Letter letter = std::move(letters.front());
    letters.pop_front();
    copy_bytes(letter.text, message);
    *letter.taken = true;
    group_->hub->changed.notify_all();
    return letter.from;
  }

  void cancel() override {
    const std::lock_guard lock(group_->hub->mutex);
    group_->cancelled[rank_] = true;
    group_->hub->changed.notify_all();
  }

  [[noreturn]] void abort(int exit_code) override {
    const core::Error error(static_cast<core::ExitCode>(exit_code),
                            core::concat("Rank ", rank_, " ended all ranks with exit code ", exit_code, "."));
    group_->hub->fail(std::make_exception_ptr(error));
    throw error;
  }

 private:
  template <class T>
  void all_reduce_of(std::span<T> values, Reduction reduction) {
    const std::vector<T> mine(values.begin(), values.end());
    const Meeting meeting(*group_, rank_, &mine);
    const auto& first = meeting.of<std::vector<T>>(0);
    PL_ASSERT(first.size() == values.size());
    std::copy(first.begin(), first.end(), values.begin());
    for (int r = 1; r < size(); ++r) {
      combine_into<T>(values, meeting.of<std::vector<T>>(r), reduction);
    }
  }

  std::shared_ptr<Group> group_;
  int rank_;
  std::uint64_t started_ = 0;  // non-blocking all-reduces; the same number names the same one on all ranks
};

std::unique_ptr<Communicator> ThreadCommunicator::subset(std::span<const int> members) {
  const auto place = std::find(members.begin(), members.end(), rank_);
  PL_ASSERT(place != members.end());
  std::shared_ptr<Group> made;
  if (place == members.begin()) {
    std::vector<int> in_run;
    for (const int member : members) in_run.push_back(group_->members[member]);
    made = std::make_shared<Group>(group_->hub, std::move(in_run));
  }
  const Meeting meeting(*group_, rank_, &made);
  return std::make_unique<ThreadCommunicator>(meeting.of<std::shared_ptr<Group>>(members.front()),
                                              static_cast<int>(place - members.begin()));
}

}  // namespace

void run_on_threads(int ranks, const std::function<void(Communicator&)>& body) {
  PL_ASSERT(ranks > 0);
  const auto hub = std::make_shared<Hub>(ranks);
  std::vector<int> members(ranks);
  for (int r = 0; r < ranks; ++r) members[r] = r;
  const auto group = std::make_shared<Group>(hub, members);
  std::vector<std::thread> threads;
  for (int r = 0; r < ranks; ++r) {
    threads.emplace_back([&, r] {
      try {
        ThreadCommunicator communicator(group, r);
        body(communicator);
        hub->end(r);
      } catch (...) {
        hub->fail(std::current_exception());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (hub->failure) std::rethrow_exception(hub->failure);
}

}  // namespace pathline::cluster
