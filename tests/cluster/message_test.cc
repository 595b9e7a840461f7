// SPDX-License-Identifier: Apache-2.0
// Messages from rank to rank, and watchdogs over ranks that do not hang.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "cluster/watchdog.h"
#include "tests/support/ranks.h"

namespace pathline::cluster {
namespace {

using tests::each_rank;

struct Message {
  std::int64_t from = 0, number = 0;
};

std::span<const std::byte> bytes_of(const Message& message) { return std::as_bytes(std::span(&message, 1)); }

TEST(Messages, ArriveInTheOrderOfTheirSenderWithItsRank) {
  constexpr int kEach = 50;
  each_rank([](Communicator& ranks) {
    std::vector<std::unique_ptr<Request>> sent;
    for (int number = 0; number < kEach; ++number) {
      for (int to = 0; to < ranks.size(); ++to) {
        if (to != ranks.rank()) sent.push_back(ranks.start_send(bytes_of({ranks.rank(), number}), to));
      }
    }
    std::vector<std::int64_t> next(ranks.size());
    for (int taken = 0; taken < kEach * (ranks.size() - 1);) {
      Message message;
      const auto from = ranks.receive_arrived(std::as_writable_bytes(std::span(&message, 1)));
      if (!from) continue;
      EXPECT_EQ(message.from, *from);
      EXPECT_EQ(message.number, next[*from]++);
      ++taken;
    }
    for (auto& request : sent) request->wait();
    for (auto& request : sent) EXPECT_TRUE(request->done());
  });
}

TEST(Messages, AreDoneWhenTheyAreTakenAndNotBefore) {
  each_rank([](Communicator& ranks) {
    if (ranks.size() == 1) return;
    std::unique_ptr<Request> sent;
    if (ranks.rank() == 0) sent = ranks.start_send(bytes_of({0, 7}), 1);
    ranks.barrier();  // rank 1 has not asked for it
    if (sent) {
      EXPECT_FALSE(sent->done());
    }
    ranks.barrier();
    Message message;
    while (ranks.rank() == 1 && !ranks.receive_arrived(std::as_writable_bytes(std::span(&message, 1)))) continue;
    if (ranks.rank() == 1) {
      EXPECT_EQ(message.number, 7);
    }
    if (sent) sent->wait();
    EXPECT_FALSE(ranks.receive_arrived(std::as_writable_bytes(std::span(&message, 1))));
  });
}

TEST(WatchdogOverRanks, EndsInOrderWhereNobodyHangs) {
  each_rank([](Communicator& ranks) {
    for (int run = 0; run < 3; ++run) {
      Watchdog watchdog(ranks, Deadlines{60, 0});
      for (int step = 1; step <= 100; ++step) {
        watchdog.here().enter(Phase::kCompute, step);
        watchdog.here().enter(Phase::kReduce);
        ranks.barrier();
      }
    }
  });
}

}  // namespace
}  // namespace pathline::cluster
