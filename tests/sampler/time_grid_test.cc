// SPDX-License-Identifier: Apache-2.0
#include "sampler/time_grid.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace pathline::sampler {
namespace {

TEST(TimeGrid, EndsAreExactAndTimesRise) {
  for (const char* grid : {"uniform", "cosine", "edm", "shift:3", "shift:0.3"}) {
    for (const std::int64_t steps : {1, 2, 18, 50}) {
      const std::vector<double> times = time_grid(grid, steps, 0.0, 1.0);
      EXPECT_EQ(times.size(), static_cast<std::size_t>(steps + 1)) << grid;
      EXPECT_EQ(times.front(), 0.0);
      EXPECT_EQ(times.back(), 1.0);
      EXPECT_TRUE(std::ranges::is_sorted(times));
    }
  }
}

TEST(TimeGrid, BackwardsItIsTheSameTimes) {
  std::vector<double> there = time_grid("edm", 18, 0.0, 1.0);
  const std::vector<double> back = time_grid("edm", 18, 1.0, 0.0);
  std::ranges::reverse(there);
  for (std::size_t i = 0; i < there.size(); ++i) EXPECT_NEAR(back[i], there[i], 1e-15) << i;
}

TEST(TimeGrid, EdmIsKarrasNoiseLevels) {
  const std::vector<double> times = time_grid("edm", 18, 0.0, 1.0);
  EXPECT_NEAR(1 / times[1] - 1, 57.5859, 1e-3);  // sigma_1 of N = 18, as EDM's code computes it
  EXPECT_NEAR(1 / times[17] - 1, 0.002, 1e-12);
}

TEST(TimeGrid, ShiftMovesNoiseLevels) {
  const std::vector<double> times = time_grid("shift:3", 2, 0.0, 1.0);
  EXPECT_DOUBLE_EQ(times[1], 0.25);  // q = 1/2 becomes 3/4
  EXPECT_DOUBLE_EQ(time_grid("cosine", 2, 0.0, 1.0)[1], 1 - std::sqrt(0.5));
}

TEST(TimeGrid, AListIsTaken) {
  EXPECT_EQ(time_grid("0,0.2,0.7,1", 50, 0.0, 1.0), (std::vector<double>{0, 0.2, 0.7, 1}));
}

TEST(TimeGrid, RefusesWhatIsNoGrid) {
  for (const char* grid : {"linear", "shift:-1", "shift:x", "0,0.5", "0,0.7,0.3,1", "0,0.5,0.5,1"}) {
    EXPECT_THROW(time_grid(grid, 4, 0.0, 1.0), core::Error) << grid;
  }
  EXPECT_THROW(time_grid("uniform", 0, 0.0, 1.0), core::Error);
}

TEST(Timeline, AStepIsGuidedWhereItsMiddleLiesInTheInterval) {
  SolverOptions options;
  options.guidance_from = 0.3;
  options.guidance_to = 0.8;
  const Timeline line = timeline_of(options, {0, 0.25, 0.5, 0.75, 1});
  EXPECT_EQ(line.guided, (std::vector<char>{false, true, true, false}));
}

TEST(Timeline, AnAdaptiveSolverLandsWhereGuidanceBeginsAndEnds) {
  SolverOptions options;
  options.guidance = 2;
  options.guidance_from = 0.3;
  options.guidance_to = 0.8;
  EXPECT_EQ(landing_points(options).times, (std::vector<double>{0, 0.3, 0.8, 1}));
  EXPECT_EQ(landing_points(options).guided, (std::vector<char>{false, true, false}));
  std::swap(options.t0, options.t1);
  EXPECT_EQ(landing_points(options).times, (std::vector<double>{1, 0.8, 0.3, 0}));
  options.guidance = 1;
  EXPECT_EQ(landing_points(options).segments(), 1u);
}

}  // namespace
}  // namespace pathline::sampler
