// SPDX-License-Identifier: Apache-2.0
// Noise and samples of the global batch are paired alike on any number of ranks.
#include "trainer/global_coupling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "cluster/self_communicator.h"
#include "tests/trainer/runs.h"
#include "trainer/loader_options.h"
#include "trainer/training_step.h"

namespace pathline::trainer {
namespace {

constexpr std::int64_t kItems = 100, kBatches = 3;
constexpr std::uint64_t kSeed = 3;

Recipe recipe_of(const std::string& data, const flow::CouplingOptions& pairing) {
  Recipe recipe;
  recipe.run.seed = kSeed;
  recipe.data.path = {data};
  recipe.train.batch = 28;
  recipe.train.slices = 7;
  recipe.flow.pairing = pairing;
  return recipe;
}

/// Every rank's values on all of them, in order.
template <class Value>
std::vector<Value> gathered(const std::vector<Value>& mine, std::int64_t first, std::int64_t total,
                            cluster::Communicator& ranks) {
  std::vector<double> all(static_cast<std::size_t>(total));  // exact for what is summed here: one term is not zero
  std::ranges::copy(mine, all.begin() + first);
  ranks.all_reduce(all, cluster::Reduction::kSum);
  std::vector<Value> values;
  for (const double value : all) values.push_back(static_cast<Value>(value));
  return values;
}

struct Found {
  std::vector<std::uint64_t> noise;  // (batches, batch), relative to nothing: positions
  std::vector<float> values, starts;
  bool operator==(const Found&) const = default;
};

/// The first batches of a run, whole.
Found batches_of(const Recipe& recipe, bool conditional, cluster::Communicator& ranks) {
  const Dataset dataset(recipe.data, recipe.flow.pairing, kSeed);
  const auto own = own_samples(recipe.train, ranks);
  GlobalCoupling coupling(recipe, conditional, dataset, loader_options(recipe, dataset, 0, at::kCPU, ranks), ranks);
  const auto size = static_cast<std::int64_t>(dataset.info().item_values());
  Found found;
  for (std::int64_t n = 0; n < kBatches; ++n) {
    const data::Batch batch = coupling.next();
    const auto add = [&](const auto& mine, std::int64_t scale, auto& all) {
      if (mine.empty() && own.size() > 0) return;  // on every rank alike
      const auto part = gathered(mine, own.first * scale, recipe.train.batch * scale, ranks);
      all.insert(all.end(), part.begin(), part.end());
    };
    add(batch.noise, 1, found.noise);
    add(batch.values, size, found.values);
    add(batch.starts, size, found.starts);
  }
  return found;
}

flow::CouplingOptions coupled_by(const std::string& coupling, std::int64_t block = 2048) {
  flow::CouplingOptions options;
  options.coupling = coupling;
  options.coupling_block = block;
  return options;
}

TEST(GlobalCoupling, PairsTheOrderedGlobalBatchOnAnyNumberOfRanks) {
  tests::each_rank([](cluster::Communicator& ranks) {
    const Runs runs(ranks, kItems);
    for (const auto& pairing : {coupled_by("ot"), coupled_by("sinkhorn:0.1"), coupled_by("ot", 10)}) {
      const Recipe recipe = recipe_of(runs.data(), pairing);
      const Found found = batches_of(recipe, true, ranks);
      ASSERT_EQ(found.noise.size(), static_cast<std::size_t>(kBatches * 28));
      for (std::uint64_t n = 0; n < kBatches; ++n) {
        // The oracle: the pure function of the whole batch.
        const Dataset dataset(recipe.data, pairing, kSeed);
        std::vector<float> x0(28 * 2);
        std::vector<std::int64_t> labels;
        std::vector<std::uint64_t> positions;
        for (std::uint64_t i = 0; i < 28; ++i) {
          positions.push_back(28 * n + i);
          core::Draws(kSeed, positions.back(), core::Purpose::kNoise).fill_normal(std::span(x0).subspan(2 * i, 2));
        }
        std::vector<std::int64_t> samples(28);
        dataset.order()(28 * n, samples);
        for (const std::int64_t sample : samples) labels.push_back(dataset.source().label(sample));
        const auto whole =
            flow::coupled_batch(flow::Coupling::of(pairing, true), pairing.coupling_block,
                                std::span(found.values).subspan(56 * n, 56), x0, 2, labels, kSeed, positions);
        for (std::size_t i = 0; i < 28; ++i) {
          EXPECT_EQ(found.noise[28 * n + i], 28 * n + static_cast<std::uint64_t>(whole[i])) << ranks.size();
          EXPECT_EQ(labels[static_cast<std::size_t>(whole[i])], labels[i]);
        }
      }
    }
  });
}

TEST(GlobalCoupling, DataThatSamplesStartFromComeInTheirOwnOrderAndArePermutedToo) {
  tests::each_rank([](cluster::Communicator& ranks) {
    const Runs runs(ranks, kItems), source(ranks, 44);
    flow::CouplingOptions independent = coupled_by("independent"), optimal = coupled_by("ot");
    independent.source = optimal.source = "data:" + source.data();
    const Found plain = batches_of(recipe_of(runs.data(), independent), false, ranks);
    const Found paired = batches_of(recipe_of(runs.data(), optimal), false, ranks);
    ASSERT_EQ(plain.starts.size(), static_cast<std::size_t>(kBatches * 56));
    EXPECT_TRUE(plain.noise.empty());
    EXPECT_EQ(plain.values, paired.values);
    for (std::size_t k = 0; k < static_cast<std::size_t>(kBatches * 28); ++k) {
      EXPECT_EQ(paired.starts[2 * k], plain.starts[2 * paired.noise[k]]);
      EXPECT_EQ(paired.starts[2 * k + 1], plain.starts[2 * paired.noise[k] + 1]);
    }
    const auto set = data::open_source({source.data()});  // the first 44 starts are its samples, each once
    std::vector<float> items(2), first_epoch(plain.starts.begin(), plain.starts.begin() + 88), all;
    for (std::int64_t i = 0; i < 44; ++i) {
      set->read(i, std::as_writable_bytes(std::span(items)));
      all.insert(all.end(), items.begin(), items.end());
    }
    EXPECT_NE(all, first_epoch);
    std::ranges::sort(all);
    std::ranges::sort(first_epoch);
    EXPECT_EQ(all, first_epoch);
    EXPECT_TRUE(batches_of(recipe_of(runs.data(), optimal), false, *cluster::make_self_communicator()) == paired);
  });
}

TEST(GlobalCoupling, APairsStartIsTheOneOfItsFile) {
  tests::each_rank([](cluster::Communicator& ranks) {
    const std::string path = tests::shared_temporary_directory(ranks, "pairs") + "/pairs.h5";
    if (ranks.rank() == 0) {
      data::SetInfo info;
      info.kind = data::ItemKind::kPoint;
      info.count = 50;
      info.channels = 2;
      data::ImageStoreWriter writer(path, info);
      for (float i = 0; i < 50; ++i) {
        const std::vector<float> point = {i, -i};
        writer.append(std::as_bytes(std::span(point)), -1);
      }
      writer.add_floats("x0", {2}, [](std::int64_t index) {
        return std::vector<float>{static_cast<float>(index) + 1000, static_cast<float>(index) + 2000};
      });
      writer.finish();
    }
    ranks.barrier();
    const Found found = batches_of(recipe_of(path, coupled_by("pairs")), false, ranks);
    ASSERT_EQ(found.starts.size(), static_cast<std::size_t>(kBatches * 56));
    for (std::size_t k = 0; k < static_cast<std::size_t>(kBatches * 28); ++k) {
      EXPECT_EQ(found.starts[2 * k], found.values[2 * k] + 1000);
      EXPECT_EQ(found.starts[2 * k + 1], found.values[2 * k] + 2000);
    }
    ranks.barrier();
  });
}

TEST(GlobalCoupling, PairsAreRefusedWhereTheFileHasNone) {
  tests::each_rank([](cluster::Communicator& ranks) {
    const Runs runs(ranks, kItems);
    try {
      runs.train("unpaired", {"flow.coupling=pairs"}, ranks);
      ADD_FAILURE() << "trained on pairs that do not exist";
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kInput);
      EXPECT_NE(std::string(error.what()).find("--pairs"), std::string::npos) << error.what();
    }
    ranks.barrier();
  });
}

TEST(GlobalCoupling, TrainingHasTheSameBitsOnAnyNumberOfRanksAlsoAfterAStop) {
  tests::each_rank([](cluster::Communicator& ranks) {
    Runs runs(ranks, kItems);
    const std::vector<std::string> sets = {"flow.coupling=ot", "flow.coupling_block=10"};
    if (ranks.rank() == 0) {
      runs.train("alone", sets, *cluster::make_self_communicator());
      runs.train("independent", {}, *cluster::make_self_communicator());
    }
    ranks.barrier();
    runs.train("together", sets, ranks);
    int calls = 0;
    EXPECT_EQ(runs.train("stopped", sets, ranks,
                         [&] {
                           return Requests{++calls == 4, false};
                         }),
              core::ExitCode::kStopped);
    runs.train("stopped", sets, ranks);
    if (ranks.rank() == 0) {
      EXPECT_TRUE(runs.newest("alone") == runs.newest("together"));
      EXPECT_TRUE(runs.newest("alone") == runs.newest("stopped"));
      EXPECT_FALSE(runs.newest("alone") == runs.newest("independent"));
    }
    ranks.barrier();
  });
}

TEST(GlobalCoupling, WarnsWhereLabelsDoNotMatter) {
  tests::each_rank([](cluster::Communicator& ranks) {
    Runs runs(ranks, kItems);
    if (ranks.rank() == 0) {
      const auto warned = [&](const std::string& name, std::vector<std::string> sets) {
        sets.push_back("flow.coupling=ot");
        sets.push_back("train.steps=1");
        runs.train(name, sets, *cluster::make_self_communicator());
        return runs.log(name).find("flow.coupling_label_cost = 0 pairs noise") != std::string::npos;
      };
      EXPECT_TRUE(warned("blind", {"flow.coupling_label_cost=0"}));
      EXPECT_FALSE(warned("aware", {}));
      EXPECT_FALSE(warned("unconditional", {"flow.coupling_label_cost=0", "model.classes=0"}));
    }
    ranks.barrier();
  });
}

TEST(GlobalCoupling, ASampleThatIsNotFiniteIsSkippedAndNamedAsEver) {
  tests::each_rank([](cluster::Communicator& ranks) {
    Runs runs(ranks, kItems, {17});
    const std::vector<std::string> sets = {"flow.coupling=ot", "data.validation=0"};
    if (ranks.rank() == 0) runs.train("alone", sets, *cluster::make_self_communicator());
    ranks.barrier();
    runs.train("together", sets, ranks);
    if (ranks.rank() == 0) {
      EXPECT_TRUE(runs.newest("alone") == runs.newest("together"));
      EXPECT_NE(runs.metrics("together").find("item 17 of points.h5"), std::string::npos);
    }
    ranks.barrier();
  });
}

}  // namespace
}  // namespace pathline::trainer
