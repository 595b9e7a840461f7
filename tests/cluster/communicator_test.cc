// SPDX-License-Identifier: Apache-2.0
// What every Communicator promises, on every implementation and number of ranks.
#include "cluster/communicator.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "tests/support/ranks.h"

namespace pathline::cluster {
namespace {

using tests::each_rank;

template <class T>
std::span<std::byte> bytes_of(std::vector<T>& values) {
  return std::as_writable_bytes(std::span(values));
}

TEST(Communicator, BroadcastGivesTheRootsBytesToAll) {
  each_rank([](Communicator& ranks) {
    for (int root = 0; root < ranks.size(); ++root) {
      std::vector<std::int64_t> values(3000, ranks.rank());
      ranks.broadcast(bytes_of(values), root);
      EXPECT_EQ(values, std::vector<std::int64_t>(3000, root));
    }
  });
}

TEST(Communicator, AllGatherIsInRankOrder) {
  each_rank([](Communicator& ranks) {
    const std::vector<std::int32_t> mine = {ranks.rank(), 10 * ranks.rank()};
    std::vector<std::int32_t> all(2 * ranks.size()), expected;
    ranks.all_gather(std::as_bytes(std::span(mine)), bytes_of(all));
    for (int r = 0; r < ranks.size(); ++r) expected.insert(expected.end(), {r, 10 * r});
    EXPECT_EQ(all, expected);
  });
}

TEST(Communicator, AllGatherInPlaceTakesUnequalAndEmptyParts) {
  each_rank([](Communicator& ranks) {
    std::vector<std::size_t> offsets = {0};  // rank r has 5 r bytes: none on rank 0
    for (int r = 0; r < ranks.size(); ++r) offsets.push_back(offsets.back() + 5 * r);
    std::vector<char> all(offsets.back(), '?'), expected;
    for (std::size_t i = offsets[ranks.rank()]; i < offsets[ranks.rank() + 1]; ++i) {
      all[i] = static_cast<char>('a' + ranks.rank());
    }
    ranks.all_gather_in_place(bytes_of(all), offsets);
    for (int r = 0; r < ranks.size(); ++r) expected.insert(expected.end(), 5 * r, 'a' + r);
    EXPECT_EQ(all, expected);
  });
}

TEST(Communicator, AllToAllDeliversEveryPairsOwnLength) {
  each_rank([](Communicator& ranks) {
    const auto message = [](int from, int to) { return std::string(37 * from + to, 'a' + from); };
    std::vector<std::string> out, in;
    for (int r = 0; r < ranks.size(); ++r) {
      out.push_back(message(ranks.rank(), r));
      in.emplace_back(message(r, ranks.rank()).size(), '?');
    }
    std::vector<std::span<const std::byte>> send;
    std::vector<std::span<std::byte>> receive;
    for (int r = 0; r < ranks.size(); ++r) {
      send.push_back(std::as_bytes(std::span(out[r])));
      receive.push_back(std::as_writable_bytes(std::span(in[r])));
    }
    ranks.all_to_all(send, receive);
    for (int r = 0; r < ranks.size(); ++r) EXPECT_EQ(in[r], message(r, ranks.rank()));
  });
}

TEST(Communicator, SumsOfFloatingPointAreInRankOrder) {
  each_rank([](Communicator& ranks) {
    // 1, 2^-53, 2^-53 ...: from the left every small term is rounded away, any other order keeps some.
    const auto value = [](int r) { return r == 0 ? 1.0 : 0x1p-53; };
    std::vector<double> values = {value(ranks.rank()), double(ranks.rank())};
    ranks.all_reduce(std::span(values), Reduction::kSum);
    EXPECT_EQ(values[0], 1.0);
    EXPECT_EQ(values[1], ranks.size() * (ranks.size() - 1) / 2);
  });
}

TEST(Communicator, ReductionsTakeMinimumMaximumAndBits) {
  each_rank([](Communicator& ranks) {
    const int n = ranks.size();
    double low = 5.0 - ranks.rank(), high = low;
    ranks.all_reduce(std::span(&low, 1), Reduction::kMin);
    ranks.all_reduce(std::span(&high, 1), Reduction::kMax);
    EXPECT_EQ(low, 6.0 - n);
    EXPECT_EQ(high, 5.0);
    std::int64_t bit = std::int64_t{1} << (40 + ranks.rank()), sum = bit, least = bit, most = bit;
    ranks.all_reduce(std::span(&bit, 1), Reduction::kBitOr);
    ranks.all_reduce(std::span(&sum, 1), Reduction::kSum);
    ranks.all_reduce(std::span(&least, 1), Reduction::kMin);
    ranks.all_reduce(std::span(&most, 1), Reduction::kMax);
    EXPECT_EQ(bit, ((std::int64_t{1} << n) - 1) << 40);
    EXPECT_EQ(sum, bit);
    EXPECT_EQ(least, std::int64_t{1} << 40);
    EXPECT_EQ(most, std::int64_t{1} << (39 + n));
  });
}

TEST(Communicator, ReduceScatterGivesEachRankItsPartOfTheSum) {
  each_rank([](Communicator& ranks) {
    std::vector<std::size_t> offsets = {0};
    for (int r = 0; r < ranks.size(); ++r) offsets.push_back(offsets.back() + 7 * r);
    std::vector<float> in(offsets.back());
    for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i * (ranks.rank() + 1));
    std::vector<float> out(7 * ranks.rank());
    ranks.reduce_scatter(in, offsets, out);
    const int factor = ranks.size() * (ranks.size() + 1) / 2;  // whole numbers: exact in any order
    for (std::size_t i = 0; i < out.size(); ++i) {
      EXPECT_EQ(out[i], static_cast<float>((offsets[ranks.rank()] + i) * factor));
    }
  });
}

TEST(Communicator, SeveralNonBlockingReductionsGoOnBesideBlockingOnes) {
  each_rank([](Communicator& ranks) {
    std::int64_t a = ranks.rank(), b = 1, c = 1;
    auto first = ranks.start_all_reduce(std::span(&a, 1), Reduction::kMax);
    auto second = ranks.start_all_reduce(std::span(&b, 1), Reduction::kSum);
    ranks.all_reduce(std::span(&c, 1), Reduction::kSum);
    ranks.barrier();
    second->wait();
    EXPECT_TRUE(second->done());
    while (!first->done()) {
    }
    EXPECT_EQ(a, ranks.size() - 1);
    EXPECT_EQ(b, ranks.size());
    EXPECT_EQ(c, ranks.size());
  });
}

TEST(Communicator, DestroyingARequestCompletesIt) {
  each_rank([](Communicator& ranks) {
    std::int64_t value = 1;
    static_cast<void>(ranks.start_all_reduce(std::span(&value, 1), Reduction::kSum));
    EXPECT_EQ(value, ranks.size());
  });
}

TEST(Communicator, ASubsetHasTheNamedRanksInTheirOrder) {
  each_rank([](Communicator& ranks) {
    std::vector<int> members;
    for (int r = ranks.size() - 1; r >= 0; --r) {
      if (r % 2 == ranks.rank() % 2) members.push_back(r);
    }
    const auto half = ranks.subset(members);
    ASSERT_EQ(half->size(), static_cast<int>(members.size()));
    EXPECT_EQ(members[half->rank()], ranks.rank());
    const int mine = ranks.rank();
    std::vector<int> all(half->size());
    half->all_gather(std::as_bytes(std::span(&mine, 1)), bytes_of(all));
    EXPECT_EQ(all, members);
  });
}

TEST(Communicator, ASubsetOfADuplicateWorksWhileTheParentIsUsed) {
  each_rank([](Communicator& ranks) {
    const auto same = duplicate(ranks);
    const int me = ranks.rank();
    const auto alone = same->subset(std::span(&me, 1));
    std::int64_t a = 1, b = 1;
    alone->all_reduce(std::span(&a, 1), Reduction::kSum);
    ranks.all_reduce(std::span(&b, 1), Reduction::kSum);
    EXPECT_EQ(alone->size(), 1);
    EXPECT_EQ(a, 1);
    EXPECT_EQ(b, ranks.size());
  });
}

}  // namespace
}  // namespace pathline::cluster
