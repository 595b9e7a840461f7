// SPDX-License-Identifier: Apache-2.0
// Gradients that come one by one, in any order, some not at all, against sums made by hand.
#include "trainer/gradient_tree.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "cluster/self_communicator.h"
#include "trainer/host_backend.h"

namespace pathline::trainer {
namespace {

FlatLayout two_buckets() {
  return flat_layout({{"first", at::zeros({3})}, {"second", at::zeros({5})}, {"last", at::zeros({2})}}, 20);
}

/// What tensor t of the layout gets from pass n: sums of these are exact.
at::Tensor gradient(const FlatLayout& layout, std::size_t t, int n, at::ScalarType type = at::kFloat) {
  return at::full({static_cast<std::int64_t>(layout.tensors[t].elements)},
                  static_cast<double>(1 << n) + static_cast<double>(t), type);
}

double element(const at::Tensor& flat, const FlatTensor& tensor) {
  return flat[static_cast<std::int64_t>(tensor.offset)].item<double>();
}

class GradientTrees : public testing::Test {
 protected:
  GradientTree tree(std::vector<cluster::FoldStep> plan, std::int64_t passes) {
    return {*backend_, layout_, std::move(plan), passes, [this](std::size_t bucket) { done_.push_back(bucket); }};
  }

  std::unique_ptr<cluster::Communicator> self_ = cluster::make_self_communicator();
  std::unique_ptr<Backend> backend_ = make_host_backend(*self_);
  FlatLayout layout_ = two_buckets();
  std::vector<std::size_t> done_;
};

TEST_F(GradientTrees, AddUpAllSlicesAndTellWhenABucketIsComplete) {
  ASSERT_EQ(layout_.buckets.size(), 2u);
  GradientTree tree = this->tree(cluster::fold_plan({0, 4}, 4), 1);
  for (int step = 0; step < 2; ++step) {  // the second step must not see the first
    done_.clear();
    tree.start_step();
    for (int slice = 0; slice < 4; ++slice) {
      tree.start_pass();
      for (std::size_t t = 0; t < 3; ++t) {
        EXPECT_TRUE(done_.empty() || slice == 3);
        tree.take(t, gradient(layout_, t, slice));
      }
      tree.end_pass();
    }
    EXPECT_EQ(done_, (std::vector<std::size_t>{0, 1}));
    ASSERT_EQ(tree.partials().size(), 1u);
    for (std::size_t t = 0; t < 3; ++t) {
      EXPECT_EQ(element(tree.partials()[0], layout_.tensors[t]), 15.0 + 4.0 * static_cast<double>(t));
    }
  }
}

TEST_F(GradientTrees, CountAMissingGradientAsZeroAndWidenBf16) {
  GradientTree tree = this->tree(cluster::fold_plan({0, 2}, 2), 2);  // two slices of two passes
  tree.start_step();
  for (int pass = 0; pass < 4; ++pass) {
    tree.start_pass();
    tree.take(2, gradient(layout_, 2, pass, at::kBFloat16));
    if (pass == 1) tree.take(0, gradient(layout_, 0, pass));
    tree.end_pass();
  }
  EXPECT_EQ(done_.size(), 2u);
  EXPECT_EQ(element(tree.partials()[0], layout_.tensors[0]), 2.0);
  EXPECT_EQ(element(tree.partials()[0], layout_.tensors[1]), 0.0);
  EXPECT_EQ(element(tree.partials()[0], layout_.tensors[2]), 15.0 + 4 * 2.0);
}

TEST_F(GradientTrees, LeaveOneSumForEachCoveringNode) {
  const cluster::SliceRange own{1, 4};  // nodes {1} and {2, 3} of eight
  GradientTree tree = this->tree(cluster::fold_plan(own, 8), 1);
  tree.start_step();
  for (int slice = 1; slice < 4; ++slice) {
    tree.start_pass();
    for (std::size_t t = 0; t < 3; ++t) tree.take(t, gradient(layout_, t, slice));
    tree.end_pass();
  }
  ASSERT_EQ(tree.partials().size(), 2u);
  EXPECT_EQ(element(tree.partials()[0], layout_.tensors[0]), 2.0);
  EXPECT_EQ(element(tree.partials()[1], layout_.tensors[0]), 4.0 + 8.0);
}

}  // namespace
}  // namespace pathline::trainer
