// SPDX-License-Identifier: Apache-2.0
// A rank that waits for others leaves its core to them: ranks and their threads often share cores.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "cluster/communicator.h"
#include "core/error.h"
#include "tests/support/ranks.h"

namespace pathline::cluster {
namespace {

using tests::each_rank;

/// 'S' while it sleeps, 'R' while it runs or could.
char state_of(std::int64_t thread) {
  std::ifstream file("/proc/" + std::to_string(thread) + "/stat");
  std::string text;
  std::getline(file, text);
  const std::size_t after_name = text.rfind(')') + 2;
  return after_name < text.size() ? text[after_name] : '?';
}

/// Seen asleep more often than the last nap of the call before would allow.
bool sleeps(std::int64_t thread) {
  constexpr int kOften = 5;
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  for (int asleep = 0; asleep < kOften; asleep += state_of(thread) == 'S') {
    if (std::chrono::steady_clock::now() > give_up) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(100));  // it may need this core to come so far
  }
  return true;
}

struct Call {
  std::string name;
  std::function<void(Communicator&)> act;
};

/// Every call in which a rank may wait for another.
std::vector<Call> calls() {
  static constexpr std::size_t kEach = 4;  // elements from, or for, a rank
  const auto offsets = [](const Communicator& ranks, std::size_t each) {
    std::vector<std::size_t> all;
    for (int r = 0; r <= ranks.size(); ++r) all.push_back(static_cast<std::size_t>(r) * each);
    return all;
  };
  return {
      {"barrier", [](Communicator& ranks) { ranks.barrier(); }},
      {"broadcast",
       [](Communicator& ranks) {
         std::vector<std::byte> data(kEach);
         ranks.broadcast(data, 0);
       }},
      {"all_gather",
       [](Communicator& ranks) {
         std::vector<std::byte> all(kEach * ranks.size());
         ranks.all_gather(std::vector<std::byte>(kEach), all);
       }},
      {"all_gather_in_place",
       [offsets](Communicator& ranks) {
         std::vector<std::byte> all(kEach * ranks.size());
         ranks.all_gather_in_place(all, offsets(ranks, kEach));
       }},
      {"all_to_all",
       [](Communicator& ranks) {
         std::vector<std::byte> from(kEach * ranks.size()), to(from.size());
         std::vector<std::span<const std::byte>> send;
         std::vector<std::span<std::byte>> receive;
         for (int r = 0; r < ranks.size(); ++r) {
           send.push_back(std::span(from).subspan(r * kEach, kEach));
           receive.push_back(std::span(to).subspan(r * kEach, kEach));
         }
         ranks.all_to_all(send, receive);
       }},
      {"all_reduce of floating point",
       [](Communicator& ranks) {
         std::vector<double> values(kEach);
         ranks.all_reduce(values, Reduction::kSum);
       }},
      {"all_reduce of integers",
       [](Communicator& ranks) {
         std::vector<std::int64_t> values(kEach);
         ranks.all_reduce(values, Reduction::kSum);
       }},
      {"reduce_scatter",
       [offsets](Communicator& ranks) {
         std::vector<float> in(kEach * ranks.size()), out(kEach);
         ranks.reduce_scatter(in, offsets(ranks, kEach), out);
       }},
      {"wait for a request",
       [](Communicator& ranks) {
         std::int64_t value = 0;
         ranks.start_all_reduce(std::span(&value, 1), Reduction::kBitOr)->wait();
       }},
      {"end of a request",
       [](Communicator& ranks) {
         std::int64_t value = 0;
         const auto request = ranks.start_all_reduce(std::span(&value, 1), Reduction::kBitOr);
       }},
      {"duplicate", [](Communicator& ranks) { duplicate(ranks); }},
  };
}

TEST(Waiting, LeavesTheCoreToOtherThreads) {
  each_rank([](Communicator& ranks) {
    const std::int64_t own = ::gettid();
    std::vector<std::int64_t> threads(static_cast<std::size_t>(ranks.size()));
    ranks.all_gather(std::as_bytes(std::span(&own, 1)), std::as_writable_bytes(std::span(threads)));
    for (const Call& call : calls()) {
      for (int r = 1; ranks.rank() == 0 && r < ranks.size(); ++r) {  // rank 0 comes last
        if (!sleeps(threads[r])) throw std::runtime_error(core::concat("rank ", r, " spins in ", call.name));
      }
      call.act(ranks);
    }
  });
}

}  // namespace
}  // namespace pathline::cluster
