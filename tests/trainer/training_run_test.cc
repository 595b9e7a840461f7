// SPDX-License-Identifier: Apache-2.0
// Whole runs on any number of ranks, threads or processes: the bits do not depend on them, nor on being stopped.
#include "trainer/training_run.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "cluster/agree.h"
#include "cluster/self_communicator.h"
#include "core/file_system.h"
#include "core/random.h"
#include "data/image_store_writer.h"
#include "tests/support/ranks.h"

namespace pathline::trainer {
namespace {

constexpr std::int64_t kItems = 100;

void write_points(const std::string& path) {
  data::SetInfo info;
  info.kind = data::ItemKind::kPoint;
  info.count = kItems;
  info.channels = 2;
  info.classes = 3;
  data::ImageStoreWriter writer(path, info);
  for (std::int64_t i = 0; i < kItems; ++i) {
    std::vector<float> point(2);
    core::Draws(1, static_cast<std::uint64_t>(i), core::Purpose::kMadeData).fill_normal(point);
    writer.append(std::as_bytes(std::span(point)), i % 3);
  }
  writer.finish();
}

/// A run's files below a directory that all ranks share.
class Runs {
 public:
  explicit Runs(cluster::Communicator& ranks) : root_(tests::shared_temporary_directory(ranks, "runs")) {
    cluster::together(ranks, [&] {
      if (ranks.rank() != 0) return;
      write_points(root_ + "/points.h5");
      core::replace_file(files_, root_ + "/recipe.toml",
                         "[data]\nvalidation = 0.1\n[model]\nname = \"MLP\"\nhidden = 32\n"
                         "[train]\nsteps = 9\nbatch = 28\nslices = 7\n[optimizer]\nlr = 0.01\n[ema]\ndecays = [0.9]\n"
                         "[checkpoint]\nkeep_last = 20\n");
    });
  }

  std::string directory(const std::string& name) const { return root_ + "/" + name; }

  core::ExitCode train(const std::string& name, const std::vector<std::string>& sets, cluster::Communicator& ranks,
                       std::function<Requests()> requests = [] { return Requests{}; }) const {
    RunRequest request;
    request.recipe = root_ + "/recipe.toml";
    request.sets = sets;
    request.sets.push_back("data.path=[\"" + root_ + "/points.h5\"]");
    request.sets.push_back("run.directory=\"" + directory(name) + "\"");
    request.requests = std::move(requests);
    return run_training(request, ranks);
  }

  /// Bytes of every tensor of the newest checkpoint, by "kind/name".
  std::map<std::string, std::vector<std::byte>> newest(const std::string& name) {
    const checkpoint::Reader reader(files_, checkpoint::resolve(files_, directory(name)));
    std::map<std::string, std::vector<std::byte>> tensors;
    for (const auto& record : reader.tensors()) {
      std::uint64_t elements = 1;
      for (const auto size : record.shape) elements *= static_cast<std::uint64_t>(size);
      auto& bytes = tensors[record.kind + "/" + record.name];
      bytes.resize(elements * sizeof(float));
      reader.read(record.kind, record.name, 0, elements, bytes);
    }
    return tensors;
  }

  std::uint64_t newest_step(const std::string& name) {
    return checkpoint::Reader(files_, checkpoint::resolve(files_, directory(name))).state().step;
  }

 private:
  std::string root_;
  core::PosixFileSystem files_;
};

TEST(TrainingRun, GivesTheBitsOfOneRankOnAnyNumberOfRanks) {
  tests::each_rank([](cluster::Communicator& ranks) {
    Runs runs(ranks);
    if (ranks.rank() == 0) runs.train("alone", {}, *cluster::make_self_communicator());
    ranks.barrier();
    runs.train("together", {}, ranks);
    if (ranks.rank() == 0) {
      EXPECT_EQ(runs.newest_step("together"), 9u);
      EXPECT_TRUE(runs.newest("alone") == runs.newest("together"));
    }
    ranks.barrier();
  });
}

TEST(TrainingRun, StoppedOnOneRankAndResumedAloneEqualsUnbroken) {
  tests::each_rank([](cluster::Communicator& ranks) {
    Runs runs(ranks);
    int calls = 0;
    const bool last = ranks.rank() == ranks.size() - 1;  // one rank suffices
    const auto code = runs.train("stopped", {}, ranks, [&] { return Requests{last && ++calls == 4, false}; });
    EXPECT_EQ(code, core::ExitCode::kStopped);
    ranks.barrier();
    if (ranks.rank() == 0) {
      EXPECT_EQ(runs.newest_step("stopped"), 4u);  // asked before the fourth step, agreed after it
      EXPECT_EQ(runs.train("stopped", {}, *cluster::make_self_communicator()), core::ExitCode::kFinished);
      runs.train("unbroken", {}, *cluster::make_self_communicator());
      EXPECT_TRUE(runs.newest("unbroken") == runs.newest("stopped"));
    }
    ranks.barrier();
  });
}

TEST(TrainingRun, RefusesMoreRanksThanSlicesOnAllRanks) {
  tests::each_rank([](cluster::Communicator& ranks) {
    if (ranks.size() < 2) return;
    Runs runs(ranks);
    try {
      runs.train("crowded", {"train.slices=1"}, ranks);
      ADD_FAILURE() << "a slice was shared";
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kUsage);
    }
    ranks.barrier();
  });
}

TEST(TrainingRun, EndsWithTheNumericalCodeWhenStepsStayNonFinite) {
  tests::each_rank([](cluster::Communicator& ranks) {
    Runs runs(ranks);
    try {
      runs.train("diverged", {"optimizer.lr=1e30", "train.clip=0", "train.steps=50"}, ranks);
      ADD_FAILURE() << "diverged without notice";
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kNumerical);
    }
    ranks.barrier();
  });
}

}  // namespace
}  // namespace pathline::trainer
