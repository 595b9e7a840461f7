// SPDX-License-Identifier: Apache-2.0
// Names of solvers, and what they are told apart by.
#include "sampler/solver.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "sampler/slot_method.h"

namespace pathline::sampler {
namespace {

TEST(Solver, UnknownNameIsAnsweredWithTheNearest) {
  try {
    find_solver("midpont");
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kUsage);
    EXPECT_NE(std::string(error.what()).find("Did you mean \"midpoint\""), std::string::npos) << error.what();
  }
}

TEST(Solver, NamesOfOtherLibrariesAreAcceptedWithANote) {
  EXPECT_EQ(find_solver("heun2").name, "heun");
  EXPECT_EQ(find_solver("dopri5-torchdiffeq").name, "dopri5-shampine");
  EXPECT_NE(solver_note("heun2"), "");
  EXPECT_NE(solver_note("rk4"), "");  // another method than torchdiffeq's
  EXPECT_EQ(solver_note("dopri5"), "");
}

TEST(Solver, TheDescriptionSaysWhatDeterminesTheSamples) {
  SolverOptions options;
  EXPECT_EQ(described(options), "solver dopri5, rtol 1e-05, atol 1e-05, guidance 1");
  options.solver = "em";
  options.steps = 250;
  options.grid = "shift:3";
  options.diffusion = "inc-dec:0.5";
  options.guidance_weights = {1.5, 3};
  options.guidance_from = 0.2;
  options.trajectories = {0, 0.25, 1};
  EXPECT_EQ(described(options),
            "solver em, steps 250, grid shift:3, diffusion inc-dec:0.5, guidance 1.5,3, guidance-interval 0.2:1, "
            "trajectories 0,0.25,1");
}

/// The exit code that makers of a method end with.
core::ExitCode code_of(const SolverOptions& options) {
  try {
    method_maker<float>(options, 4, step_noise(0))();
  } catch (const core::Error& error) {
    return error.code();
  }
  return core::ExitCode::kFinished;
}

TEST(Solver, EveryNameMakesAMethod) {
  for (const std::string& name : solver_names()) {
    SolverOptions options;
    options.solver = name;
    if (name == "ddpm") options.noise_schedule = "ddpm-linear";
    EXPECT_EQ(code_of(options), core::ExitCode::kFinished) << name;
  }
}

TEST(Solver, OptionsThatDescribeNoMethodAreRefused) {
  const auto refused = [](const std::string& solver, const auto& change) {
    SolverOptions options;
    options.solver = solver;
    change(options);
    EXPECT_EQ(code_of(options), core::ExitCode::kUsage) << solver;
  };
  refused("ddpm", [](SolverOptions&) {});  // of a velocity
  refused("heun", [](SolverOptions& o) { o.noise_schedule = "cosine"; });
  refused("dopri5", [](SolverOptions& o) { o.last_step = "euler"; });
  refused("heun", [](SolverOptions& o) { o.last_step = "mean"; });
  refused("dopri5", [](SolverOptions& o) { o.controller = "pd"; });
  refused("em", [](SolverOptions& o) { o.t1 = 0.5; });
  refused("em", [](SolverOptions& o) { o.steps = 1; });
  refused("em", [](SolverOptions& o) { o.diffusion = "large"; });
  refused("em", [](SolverOptions& o) { o.last_step_size = 1.5; });
  refused("pc", [](SolverOptions& o) { o.snr = 0; });
  refused("dpmpp2m", [](SolverOptions& o) { std::swap(o.t0, o.t1); });
  refused("heun", [](SolverOptions& o) { o.guidance_from = 2; });
  refused("ddpm", [](SolverOptions& o) { o.noise_schedule = "ddpm-linear", o.steps = 1001; });
  refused("ddpm", [](SolverOptions& o) { o.noise_schedule = "quadratic"; });
  refused("ddim", [](SolverOptions& o) { o.noise_schedule = "cosine", o.eta = 2; });
}

}  // namespace
}  // namespace pathline::sampler
