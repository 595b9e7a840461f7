// SPDX-License-Identifier: Apache-2.0
#include "cluster/dry_run_communicator.h"

#include <algorithm>

#include "cluster/reduction.h"
#include "core/error.h"

namespace pathline::cluster {
namespace {

class DoneRequest final : public Request {
 public:
  bool done() override { return true; }
  void wait() override {}
};

class DryRunCommunicator final : public Communicator {
 public:
  DryRunCommunicator(int rank, std::vector<std::string> hosts, WireLedger& ledger)
      : rank_(rank), hosts_(std::move(hosts)), ledger_(ledger) {
    PL_ASSERT(0 <= rank_ && rank_ < size());
  }

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(hosts_.size()); }

  void barrier() override { ++ledger_.calls; }

  void broadcast(std::span<std::byte> data, int root) override {
    ++ledger_.calls;
    if (next() != root) send(next(), data.size(), 1);
  }

  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    PL_ASSERT(all.size() == mine.size() * hosts_.size());
    ++ledger_.calls;
    send(next(), all.size() - mine.size(), size() - 1);
    copy_bytes(mine, all.subspan(static_cast<std::size_t>(rank_) * mine.size(), mine.size()));
  }

  void all_gather_in_place(std::span<std::byte> all, std::span<const std::size_t> offsets) override {
    PL_ASSERT(offsets.size() == hosts_.size() + 1 && offsets.back() <= all.size());
    ++ledger_.calls;
    send(next(), offsets.back() - part(offsets, next()), size() - 1);
  }

  void all_to_all(std::span<const std::span<const std::byte>> sent,
                  std::span<const std::span<std::byte>> received) override {
    PL_ASSERT(sent.size() == hosts_.size() && received.size() == hosts_.size());
    ++ledger_.calls;
    for (int r = 0; r < size(); ++r) send(r, sent[r].size(), 1);
    copy_bytes(sent[rank_], received[rank_]);
  }

  void all_reduce(std::span<double> values, Reduction) override { count_all_reduce(values.size_bytes()); }
  void all_reduce(std::span<std::int64_t> values, Reduction) override { count_all_reduce(values.size_bytes()); }

  void reduce_scatter(std::span<const float> in, std::span<const std::size_t> offsets, std::span<float> out) override {
    PL_ASSERT(offsets.size() == hosts_.size() + 1 && out.size() == part(offsets, rank_));
    ++ledger_.calls;
    send(next(), (offsets.back() - out.size()) * sizeof(float), size() - 1);
    copy_bytes(std::as_bytes(in.subspan(offsets[rank_], out.size())), std::as_writable_bytes(out));
  }

  std::unique_ptr<Request> start_all_reduce(std::span<std::int64_t> values, Reduction) override {
    count_all_reduce(values.size_bytes());
    return std::make_unique<DoneRequest>();
  }

  std::unique_ptr<Communicator> subset(std::span<const int> members) override {
    const auto place = std::find(members.begin(), members.end(), rank_);
    PL_ASSERT(place != members.end());
    ++ledger_.calls;
    std::vector<std::string> hosts;
    for (const int member : members) hosts.push_back(hosts_.at(member));
    return std::make_unique<DryRunCommunicator>(static_cast<int>(place - members.begin()), std::move(hosts), ledger_);
  }

  std::unique_ptr<Request> start_send(std::span<const std::byte> message, int to) override {
    ++ledger_.calls;
    send(to, message.size(), 1);
    return std::make_unique<DoneRequest>();
  }
  std::optional<int> receive_arrived(std::span<std::byte>) override { return std::nullopt; }

  [[noreturn]] void abort(int exit_code) override {
    throw core::Error(static_cast<core::ExitCode>(exit_code),
                      core::concat("Rank ", rank_, " of a dry run was aborted."));
  }

 private:
  int next() const { return (rank_ + 1) % size(); }

  static std::size_t part(std::span<const std::size_t> offsets, int rank) { return offsets[rank + 1] - offsets[rank]; }

  void send(int to, std::size_t bytes, int messages) {
    if (to == rank_ || bytes == 0) return;
    ledger_.messages += messages;
    (hosts_[to] == hosts_[rank_] ? ledger_.bytes_within_nodes : ledger_.bytes_between_nodes) +=
        static_cast<std::int64_t>(bytes);
  }

  void count_all_reduce(std::size_t bytes) {
    ++ledger_.calls;
    send(next(), 2 * bytes * (hosts_.size() - 1) / hosts_.size(), 2 * (size() - 1));
  }

  int rank_;
  std::vector<std::string> hosts_;
  WireLedger& ledger_;
};

}  // namespace

std::unique_ptr<Communicator> make_dry_run_communicator(int rank, std::vector<std::string> hosts, WireLedger& ledger) {
  return std::make_unique<DryRunCommunicator>(rank, std::move(hosts), ledger);
}

}  // namespace pathline::cluster
