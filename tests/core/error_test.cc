// SPDX-License-Identifier: Apache-2.0
#include "core/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pathline::core {
namespace {

using testing::HasSubstr;

/// Exit code of a program with this body, and what it leaves on stderr.
std::pair<int, std::string> outcome_of(const std::function<int()>& body) {
  testing::internal::CaptureStderr();
  const int code = run_program(body);
  return {code, testing::internal::GetCapturedStderr()};
}

TEST(RunProgram, ReturnsTheBodysCode) {
  EXPECT_EQ(outcome_of([] { return 64; }), (std::pair<int, std::string>(64, "")));
}

TEST(RunProgram, AnErrorBecomesItsCodeAndOneParagraph) {
  const int count = -3;
  const auto outcome = outcome_of([&]() -> int {
    PL_CHECK(count > 0, ExitCode::kUsage, "--count is ", count, ".");
    return 0;
  });
  EXPECT_EQ(outcome, (std::pair<int, std::string>(2, "error: --count is -3.\n")));
}

TEST(RunProgram, OurOwnMistakesBecomeOneAndNameTheirPlace) {
  const auto outcome = outcome_of([]() -> int {
    PL_ASSERT(1 + 1 == 3);
    return 0;
  });
  EXPECT_EQ(outcome.first, 1);
  EXPECT_THAT(outcome.second, HasSubstr("1 + 1 == 3"));
  EXPECT_THAT(outcome.second, HasSubstr("error_test.cc"));
}

TEST(RunProgram, StackTracesOfLibrariesAreCut) {
  const auto outcome = outcome_of(
      []() -> int { throw std::runtime_error("shapes differ\nException raised from f at g.cpp:1\nframe #0: h"); });
  EXPECT_EQ(outcome, (std::pair<int, std::string>(1, "error: shapes differ\n")));
}

TEST(RunProgram, AGpuThatFailedIsTheEnvironments) {
  const std::runtime_error fault("CUDA error: uncorrectable ECC error encountered\nException raised from f at g.cpp:1");
  EXPECT_TRUE(is_gpu_fault(fault));
  const auto outcome = outcome_of([&]() -> int { throw fault; });
  EXPECT_EQ(outcome.first, 4);
  EXPECT_THAT(outcome.second, HasSubstr("uncorrectable ECC error"));
  EXPECT_FALSE(is_gpu_fault(std::runtime_error("CUDA error: out of memory")));
  EXPECT_FALSE(is_gpu_fault(std::runtime_error("shapes differ")));
}

TEST(RunProgram, MemoryThatCannotBeHadIsTheEnvironmentsAndSaysWhatToTry) {
  const auto own = outcome_of([]() -> int { throw std::bad_alloc(); });
  EXPECT_EQ(own.first, 4);
  EXPECT_THAT(own.second, HasSubstr("train.micro_batch"));
  const auto gpu = outcome_of([]() -> int {
    throw std::runtime_error("CUDA out of memory. Tried to allocate 2.00 GiB.\nException raised from f at g.cpp:1");
  });
  EXPECT_EQ(gpu.first, 4);
  EXPECT_THAT(gpu.second, HasSubstr("Tried to allocate 2.00 GiB."));
  EXPECT_EQ(outcome_of([]() -> int { throw std::runtime_error("shapes differ"); }).first, 1);
}

}  // namespace
}  // namespace pathline::core
