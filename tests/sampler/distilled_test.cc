// SPDX-License-Identifier: Apache-2.0
#include "sampler/distilled.h"

#include <gtest/gtest.h>

#include <functional>

#include "core/error.h"

namespace pathline::sampler {
namespace {

std::string refusal(const std::function<void()>& body) {
  try {
    body();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kUsage);
    return error.what();
  }
  return "";
}

TEST(DistilledModel, IsSolvedInTheStepsThatItWasMadeFor) {
  SolverOptions asked;
  asked.guidance = 2;
  const SolverOptions few = in_distilled_steps(asked, 4);
  EXPECT_EQ(few.solver, "euler");
  EXPECT_EQ(few.steps, 4);
  EXPECT_EQ(few.guidance, 2);
  asked.solver = "euler";
  asked.steps = 4;
  EXPECT_EQ(in_distilled_steps(asked, 4).steps, 4);
}

TEST(DistilledModel, RefusesOtherSolversStepsAndGrids) {
  const auto asked_for = [](const std::function<void(SolverOptions&)>& change) {
    SolverOptions asked;
    change(asked);
    return refusal([&] { in_distilled_steps(asked, 4); });
  };
  EXPECT_NE(asked_for([](SolverOptions& o) { o.solver = "heun"; }).find("distilled to 4 Euler steps"),
            std::string::npos);
  EXPECT_NE(asked_for([](SolverOptions& o) { o.steps = 8; }).find("--steps 8"), std::string::npos);
  EXPECT_NE(asked_for([](SolverOptions& o) { o.grid = "cosine"; }).find("--grid cosine"), std::string::npos);
  flow::FlowOptions trained;
  EXPECT_EQ(refusal([&] { check_all_times(trained, "likelihood"); }), "");
  trained.objective = "distill";
  EXPECT_NE(refusal([&] { check_all_times(trained, "likelihood"); }), "");
}

}  // namespace
}  // namespace pathline::sampler
