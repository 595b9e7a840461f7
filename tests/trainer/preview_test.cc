// SPDX-License-Identifier: Apache-2.0
// Previews: what generate() makes in one go, drawn, whatever the number of ranks.
#include "trainer/preview.h"

#include <gtest/gtest.h>

#include <memory>

#include "cluster/agree.h"
#include "cluster/whereabouts.h"
#include "core/error.h"
#include "core/file_system.h"
#include "data/png.h"
#include "model/velocity_model.h"
#include "sampler/checkpointed_model.h"
#include "sampler/sink.h"
#include "sampler/to_record.h"
#include "sampler/trajectory.h"
#include "tests/support/ranks.h"

namespace pathline::trainer {
namespace {

Recipe recipe_for(std::int64_t dimensions, std::int64_t size, std::int64_t count) {
  Recipe recipe;
  recipe.run.seed = 3;
  recipe.model.name = size > 0 ? "DiT" : "MLP";
  recipe.model.input_channels = dimensions;
  recipe.model.input_size = size;
  recipe.model.classes = 2;
  recipe.model.hidden = 32;
  recipe.model.depth = 1;
  recipe.model.heads = 2;
  recipe.sample.every_steps = 1;
  recipe.sample.count = count;
  recipe.sample.steps = 5;
  return recipe;
}

std::string bytes_of(const std::string& path) {
  core::PosixFileSystem files;
  return core::read_text(files, path);
}

TEST(Preview, IsThePictureOfTheSamplesOnAnyNumberOfRanks) {
  tests::each_rank([](cluster::Communicator& ranks) {
    for (const auto& recipe : {recipe_for(2, 0, 23), recipe_for(3, 8, 6), recipe_for(2, 0, 1)}) {
      const std::string directory = tests::shared_temporary_directory(ranks, "preview");
      const auto model = model::make_model(recipe.model, 7);
      cluster::Whereabouts here;
      write_preview(*model, {}, recipe, directory + "/preview.png", ranks, here);
      cluster::together(ranks, [&] {
        if (ranks.rank() != 0) return;
        sampler::Job job;
        job.sample_shape = sampler::sample_shape_of(recipe.model);
        job.null_label = 2;
        job.slots = 16;
        job.seed = 3;
        job.solver.solver = "heun";
        job.solver.steps = 5;
        sampler::SinkOptions options;
        options.path = directory + "/alone.png";
        options.count = recipe.sample.count;
        options.sample_shape = job.sample_shape;
        options.columns = recipe.sample.count % 2 == 0 ? 2 : 0;
        if (recipe.model.input_size == 0) {
          job.solver.trajectories = options.trajectory_times = sampler::even_times(33);
          options.trajectory_shape = job.sample_shape;
        }
        const auto sink = sampler::make_sink(options);
        model->set_training(false);
        sampler::generate(
            sampler::field_of(*model), job, 0, options.count, [](std::int64_t id) { return id % 2; },
            [&](sampler::Sample&& sample) { sink->put(sampler::to_record(sample)); });
        sink->finish();
        EXPECT_EQ(bytes_of(directory + "/preview.png"), bytes_of(options.path)) << recipe.model.name;
      });
    }
  });
}

/// Of a model that has not learned anything; returns where this rank got to.
cluster::RankRecord draw(const Recipe& recipe, const std::string& path, cluster::Communicator& ranks) {
  const auto model = model::make_model(recipe.model, 7);
  cluster::Whereabouts here;
  write_preview(*model, {}, recipe, path, ranks, here);
  return here.record();
}

TEST(Preview, OfPointsOfMoreDimensionsShowsTheFirstTwo) {
  tests::each_rank([](cluster::Communicator& ranks) {
    const Recipe recipe = recipe_for(5, 0, 9);
    const std::string path = tests::shared_temporary_directory(ranks, "preview") + "/preview.png";
    draw(recipe, path, ranks);
    if (ranks.rank() != 0) return;
    const std::string file = bytes_of(path);
    const data::Image picture = data::decode_png(std::as_bytes(std::span(file)), path);
    std::int64_t coloured = 0;
    for (std::size_t i = 0; i < picture.pixels.size(); i += 3) coloured += picture.pixels[i] < 255;
    EXPECT_GT(coloured, 9 * 9);  // nine dots of 3 x 3 and their ways
  });
}

TEST(Preview, TheWatchdogHearsOfEveryEvaluation) {
  tests::each_rank([](cluster::Communicator& ranks) {
    const Recipe recipe = recipe_for(2, 0, 23);
    const std::string path = tests::shared_temporary_directory(ranks, "preview") + "/preview.png";
    const std::int64_t before = cluster::Whereabouts().record().progress;
    EXPECT_GE(draw(recipe, path, ranks).progress - before, 2 * recipe.sample.steps);  // Heun evaluates twice a step
  });
}

TEST(Preview, ThatCannotBeWrittenEndsNoRun) {
  tests::each_rank([](cluster::Communicator& ranks) {
    const Recipe recipe = recipe_for(2, 0, 9);
    const std::string path = tests::shared_temporary_directory(ranks, "preview") + "/none/preview.png";
    EXPECT_NO_THROW(draw(recipe, path, ranks));
    core::PosixFileSystem files;
    EXPECT_FALSE(files.exists(path));
  });
}

TEST(Preview, OfSamplesThatAreNoPictureIsRefusedBeforeTheRun) {
  check_preview(recipe_for(2, 0, 9), {});
  check_preview(recipe_for(5, 0, 9), {});
  check_preview(recipe_for(3, 8, 9), {});
  for (Recipe recipe : {recipe_for(1, 0, 9), recipe_for(4, 8, 9)}) {
    EXPECT_THROW(check_preview(recipe, {}), core::Error);
    recipe.sample.every_steps = 0;
    check_preview(recipe, {});
    recipe.sample.solver = "leapfrog";
    EXPECT_THROW(check_preview(recipe, {}), core::Error);
  }
}

}  // namespace
}  // namespace pathline::trainer
