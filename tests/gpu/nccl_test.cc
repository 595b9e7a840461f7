// SPDX-License-Identifier: Apache-2.0
// The NCCL communicator: one rank on every machine with a GPU, two ranks (threads, a GPU each) where there are two
// GPUs.
#include "cluster/nccl_communicator.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <gtest/gtest.h>

#include <numeric>

#include "cluster/thread_communicator.h"
#include "tests/gpu/support.h"

namespace pathline::cluster {
namespace {

using tests::device_span;

/// body(ranks, device) on every rank, for 1 rank and for as many as there are GPUs, 4 at most.
void each_rank(const std::function<void(Communicator&, at::Device)>& body) {
  ASSERT_GT(c10::cuda::device_count(), 0) << "no GPU";
  for (int world = 1; world <= std::min<int>(4, c10::cuda::device_count()); ++world) {
    run_on_threads(world, [&](Communicator& host) {
      const at::Device device(at::kCUDA, static_cast<c10::DeviceIndex>(host.rank()));
      const c10::cuda::CUDAGuard guard(device);
      // The legacy default stream of each device, which LibTorch uses: copies back wait for the calls.
      const auto ranks = make_nccl_communicator(duplicate(host), host.rank(), nullptr);
      ASSERT_EQ(ranks->size(), world);
      body(*ranks, device);
    });
  }
}

at::Tensor filled(std::int64_t count, double value, at::Device device) {
  return at::full({count}, value, at::TensorOptions().dtype(at::kFloat).device(device));
}

std::span<std::byte> bytes_of(std::span<float> values) { return std::as_writable_bytes(values); }

TEST(Nccl, BroadcastsFromAnyRoot) {
  each_rank([](Communicator& ranks, at::Device device) {
    for (int root = 0; root < ranks.size(); ++root) {
      const at::Tensor values = filled(1000, ranks.rank(), device);
      ranks.broadcast(bytes_of(device_span(values)), root);
      EXPECT_TRUE(values.eq(root).all().item<bool>());
    }
  });
}

TEST(Nccl, GathersPartsOfEqualAndOfOtherSizesInPlace) {
  each_rank([](Communicator& ranks, at::Device device) {
    for (const int growth : {0, 3}) {  // part r has 100 + growth r elements
      std::vector<std::size_t> offsets = {0};
      for (int r = 0; r < ranks.size(); ++r) offsets.push_back(offsets.back() + (100 + growth * r) * sizeof(float));
      const auto at_element = [&](int r) { return static_cast<std::int64_t>(offsets[r] / sizeof(float)); };
      const at::Tensor all = filled(at_element(ranks.size()), -1, device);
      const auto part = [&](int r) { return all.narrow(0, at_element(r), at_element(r + 1) - at_element(r)); };
      part(ranks.rank()).fill_(ranks.rank());
      ranks.all_gather_in_place(bytes_of(device_span(all)), offsets);
      for (int r = 0; r < ranks.size(); ++r) EXPECT_TRUE(part(r).eq(r).all().item<bool>());
    }
  });
}

TEST(Nccl, GathersOnePartFromEveryRank) {
  each_rank([](Communicator& ranks, at::Device device) {
    const at::Tensor mine = filled(64, ranks.rank() + 1, device), all = filled(64 * ranks.size(), 0, device);
    ranks.all_gather(std::as_bytes(device_span(mine)), bytes_of(device_span(all)));
    for (int r = 0; r < ranks.size(); ++r) EXPECT_TRUE(all.narrow(0, 64 * r, 64).eq(r + 1).all().item<bool>());
  });
}

TEST(Nccl, SendsEveryRankItsOwnMessage) {
  each_rank([](Communicator& ranks, at::Device device) {
    // Rank s sends s + 2 r + 1 elements of value 10 s + r to rank r, and nothing where that would be three.
    const auto size = [](int s, int r) { return s + 2 * r + 1 == 3 ? 0 : s + 2 * r + 1; };
    std::vector<at::Tensor> out, in;
    std::vector<std::span<const std::byte>> send;
    std::vector<std::span<std::byte>> receive;
    for (int r = 0; r < ranks.size(); ++r) {
      out.push_back(filled(size(ranks.rank(), r), 10 * ranks.rank() + r, device));
      in.push_back(filled(size(r, ranks.rank()), -1, device));
      send.push_back(std::as_bytes(device_span(out.back())));
      receive.push_back(bytes_of(device_span(in.back())));
    }
    ranks.all_to_all(send, receive);
    for (int r = 0; r < ranks.size(); ++r) EXPECT_TRUE(in[r].eq(10 * r + ranks.rank()).all().item<bool>());
  });
}

TEST(Nccl, ReducesPartsOfEqualAndOfOtherSizes) {
  each_rank([](Communicator& ranks, at::Device device) {
    const int world = ranks.size();
    for (const int growth : {0, 5}) {
      std::vector<std::size_t> offsets = {0};
      for (int r = 0; r < world; ++r) offsets.push_back(offsets.back() + 100 + growth * r);
      const at::Tensor in =
          at::arange(static_cast<std::int64_t>(offsets.back()), at::TensorOptions().dtype(at::kFloat).device(device)) +
          static_cast<double>(ranks.rank());
      const std::size_t count = offsets[ranks.rank() + 1] - offsets[ranks.rank()];
      const at::Tensor out = filled(static_cast<std::int64_t>(count), -1, device);
      ranks.reduce_scatter(device_span(in), offsets, device_span(out));
      const at::Tensor index =
          at::arange(static_cast<std::int64_t>(count), out.options()) + static_cast<double>(offsets[ranks.rank()]);
      EXPECT_TRUE(out.equal(index * world + world * (world - 1) / 2.0));  // whole numbers: exact
    }
  });
}

TEST(Nccl, ScalarsGoOverTheHost) {
  each_rank([](Communicator& ranks, at::Device) {
    std::vector<double> values = {1.0, static_cast<double>(ranks.rank())};
    ranks.all_reduce(values, Reduction::kMax);
    EXPECT_EQ(values[1], ranks.size() - 1);
    ranks.barrier();
  });
}

TEST(Nccl, SubsetsAreCommunicatorsOfTheirOwn) {
  each_rank([](Communicator& ranks, at::Device device) {
    const std::vector<int> alone = {ranks.rank()};
    const auto subset = ranks.subset(alone);
    EXPECT_EQ(subset->size(), 1);
    const at::Tensor values = filled(10, ranks.rank(), device);
    subset->broadcast(bytes_of(device_span(values)), 0);
    EXPECT_TRUE(values.eq(ranks.rank()).all().item<bool>());
  });
}

TEST(Nccl, ManyCallsInARowKeepTheirOrder) {
  each_rank([](Communicator& ranks, at::Device device) {
    const at::Tensor values = filled(4096, 0, device);
    for (int n = 1; n <= 200; ++n) {
      if (n % ranks.size() == ranks.rank()) values.add_(1.0);
      ranks.broadcast(bytes_of(device_span(values)), n % ranks.size());
    }
    EXPECT_TRUE(values.eq(200).all().item<bool>());
  });
}

}  // namespace
}  // namespace pathline::cluster
