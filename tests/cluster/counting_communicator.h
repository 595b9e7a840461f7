// SPDX-License-Identifier: Apache-2.0
// A communicator that counts what is sent to other ranks by all_to_all(); the rest passes through.
#pragma once

#include <exception>
#include <memory>

#include "cluster/communicator.h"

namespace pathline::tests {

class CountingCommunicator : public cluster::Communicator {
 public:
  explicit CountingCommunicator(cluster::Communicator& ranks) : ranks_(ranks) {}

  std::size_t bytes_sent() const { return bytes_sent_; }
  int calls() const { return calls_; }

  int rank() const override { return ranks_.rank(); }
  int size() const override { return ranks_.size(); }
  void barrier() override { ranks_.barrier(); }
  void broadcast(std::span<std::byte> data, int root) override { ranks_.broadcast(data, root); }
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override { ranks_.all_gather(mine, all); }
  void all_gather_in_place(std::span<std::byte> all, std::span<const std::size_t> offsets) override {
    ranks_.all_gather_in_place(all, offsets);
  }
  void all_to_all(std::span<const std::span<const std::byte>> send,
                  std::span<const std::span<std::byte>> receive) override {
    ++calls_;
    for (int r = 0; r < size(); ++r) bytes_sent_ += r == rank() ? 0 : send[r].size();
    ranks_.all_to_all(send, receive);
  }
  void all_reduce(std::span<double> values, cluster::Reduction reduction) override {
    ranks_.all_reduce(values, reduction);
  }
  void all_reduce(std::span<std::int64_t> values, cluster::Reduction reduction) override {
    ranks_.all_reduce(values, reduction);
  }
  void reduce_scatter(std::span<const float> in, std::span<const std::size_t> offsets, std::span<float> out) override {
    ranks_.reduce_scatter(in, offsets, out);
  }
  std::unique_ptr<cluster::Request> start_all_reduce(std::span<std::int64_t> values,
                                                     cluster::Reduction reduction) override {
    return ranks_.start_all_reduce(values, reduction);
  }
  std::unique_ptr<cluster::Communicator> subset(std::span<const int> members) override {
    return ranks_.subset(members);
  }
  std::unique_ptr<cluster::Request> start_send(std::span<const std::byte> message, int to) override {
    return ranks_.start_send(message, to);
  }
  std::optional<int> receive_arrived(std::span<std::byte> message) override { return ranks_.receive_arrived(message); }
  [[noreturn]] void abort(int exit_code) override {
    ranks_.abort(exit_code);
    std::terminate();  // not reached; GCC does not believe [[noreturn]] of a virtual function
  }

 private:
  cluster::Communicator& ranks_;
  std::size_t bytes_sent_ = 0;
  int calls_ = 0;
};

}  // namespace pathline::tests
