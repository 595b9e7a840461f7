// SPDX-License-Identifier: Apache-2.0
// The samples that spoiled a step are found wherever they are, whatever is wrong with them.
#include "trainer/culprits.h"

#include <ATen/ops/stack.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "core/random.h"
#include "tests/support/ranks.h"
#include "trainer/training_step.h"

namespace pathline::trainer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::uint64_t kPosition = 1000;

Recipe small_recipe() {
  Recipe recipe;
  recipe.model.name = "DiT";
  recipe.model.input_size = 8;
  recipe.model.input_channels = 3;
  recipe.model.classes = 4;
  recipe.model.patch = 4;
  recipe.model.hidden = 16;
  recipe.model.depth = 1;
  recipe.model.heads = 2;
  recipe.train.batch = 30;
  recipe.train.slices = 10;
  return recipe;
}

data::SetInfo small_images() {
  data::SetInfo info;
  info.count = 100;
  info.height = info.width = 8;
  info.channels = 3;
  info.classes = 4;
  return info;
}

/// This rank's part; the sample at position p is number 7 p mod 100.
data::Batch part_of_batch(const Recipe& recipe, const data::SetInfo& info, cluster::Communicator& ranks) {
  const auto own = own_samples(recipe.train, ranks);
  data::Batch batch;
  batch.position = kPosition;
  batch.first = kPosition + static_cast<std::uint64_t>(own.first);
  for (std::int64_t i = own.first; i < own.last; ++i) {
    const auto position = kPosition + static_cast<std::uint64_t>(i);
    batch.samples.push_back(static_cast<std::int64_t>(7 * position % 100));
    batch.labels.push_back(i % 4);
    std::vector<float> pixels(info.item_values());
    core::Draws(1, position, core::Purpose::kMadeData).fill_uniform(pixels);
    batch.values.insert(batch.values.end(), pixels.begin(), pixels.end());
  }
  return batch;
}

/// Flow matching that breaks for some positions.
class Breaking final : public Objective {
 public:
  Breaking(model::Module& model, std::uint64_t no_loss, std::uint64_t no_gradient)
      : flow_(make_objective(flow::FlowOptions(), 0, model)), no_loss_(no_loss), no_gradient_(no_gradient) {}
  at::Tensor loss_per_sample(const Slice& slice) const override {
    const at::Tensor losses = flow_->loss_per_sample(slice);
    std::vector<at::Tensor> each;
    for (std::size_t i = 0; i < slice.positions.size(); ++i) {
      const at::Tensor loss = losses.select(0, static_cast<std::int64_t>(i));
      if (slice.positions[i] == no_loss_)
        each.push_back(loss.mul(std::numeric_limits<double>::infinity()));
      else if (slice.positions[i] == no_gradient_)
        each.push_back(loss.add(loss.mul(0.0).sqrt()));  // sqrt'(0) = inf
      else
        each.push_back(loss);
    }
    return at::stack(each);
  }
  at::Tensor held_out_loss_per_sample(const Slice& slice) const override {
    return flow_->held_out_loss_per_sample(slice);
  }

 private:
  std::unique_ptr<Objective> flow_;
  std::uint64_t no_loss_, no_gradient_;
};

class Culprits {
 public:
  explicit Culprits(cluster::Communicator& ranks)
      : ranks_(ranks), model_(model::make_model(recipe_.model, 0)), batch_(part_of_batch(recipe_, info_, ranks)) {}

  void break_pixels(std::uint64_t position) {
    if (position < batch_.first || position >= batch_.first + batch_.samples.size()) return;
    batch_.values[(position - batch_.first) * info_.item_values() + 5] = std::numeric_limits<float>::quiet_NaN();
  }
  /// Of the network, to look at every sample of this rank once.
  std::int64_t passes() const { return std::ssize(batch_.samples) / (recipe_.train.batch / recipe_.train.slices); }
  std::int64_t progress() const { return here_.record().progress; }
  /// With flow matching that breaks for these positions.
  std::vector<Culprit> of(std::uint64_t no_loss, std::uint64_t no_gradient) {
    return find_culprits(recipe_, Breaking(*model_, no_loss, no_gradient), *model_, info_, batch_, ranks_, here_);
  }

 private:
  cluster::Communicator& ranks_;
  Recipe recipe_ = small_recipe();
  data::SetInfo info_ = small_images();
  std::unique_ptr<model::VelocityModel> model_;
  data::Batch batch_;
  cluster::Whereabouts here_;
};

TEST(Culprits, ANanInOnePixelNamesTheSample) {
  tests::each_rank([](cluster::Communicator& ranks) {
    Culprits search(ranks);
    search.break_pixels(1004);
    search.break_pixels(1029);
    EXPECT_THAT(search.of(0, 0), ElementsAre(Culprit{1004, 28, Fault::kValues}, Culprit{1029, 3, Fault::kValues}));
  });
}

TEST(Culprits, AnInfiniteLossOfFinitePixelsNamesTheSample) {
  tests::each_rank([](cluster::Communicator& ranks) {
    EXPECT_THAT(Culprits(ranks).of(1013, 0), ElementsAre(Culprit{1013, 91, Fault::kLoss}));
  });
}

TEST(Culprits, AGradientThatIsNotFiniteUnderAFiniteLossNamesTheSample) {
  tests::each_rank([](cluster::Communicator& ranks) {
    EXPECT_THAT(Culprits(ranks).of(0, 1020), ElementsAre(Culprit{1020, 40, Fault::kGradient}));
    EXPECT_THAT(Culprits(ranks).of(1013, 1020), ElementsAre(Culprit{1013, 91, Fault::kLoss}));
    EXPECT_THAT(Culprits(ranks).of(0, 0), ElementsAre());
  });
}

TEST(Culprits, TheWatchdogHearsOfEveryPass) {
  tests::each_rank([](cluster::Communicator& ranks) {
    Culprits search(ranks);
    const std::int64_t before = search.progress();
    search.of(0, 1020);
    EXPECT_GE(search.progress() - before, 2 * search.passes());  // for losses, then for gradients
  });
}

TEST(Culprits, ASentenceNamesEightAndCountsTheRest) {
  const auto source = data::source_in_memory(small_images(), std::vector<std::byte>(100 * 8 * 8 * 3), {});
  std::vector<Culprit> ten;
  for (std::uint64_t i = 0; i < 10; ++i) ten.push_back({kPosition + i, static_cast<std::int64_t>(i), Fault::kValues});
  const std::string text = describe(ten, *source, 30);
  EXPECT_THAT(text, HasSubstr("position 1007 is item 7: its values are not finite; and 2 more"));
  EXPECT_THAT(describe(ten, *source, 10), HasSubstr("position 1000 is item 0"));
  for (auto& one : ten) one.fault = Fault::kLoss;
  EXPECT_THAT(describe(ten, *source, 10), HasSubstr("all 10 samples"));
  EXPECT_THAT(describe({}, *source, 10), HasSubstr("their sum is not"));
}

}  // namespace
}  // namespace pathline::trainer
