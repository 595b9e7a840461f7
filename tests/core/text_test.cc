// SPDX-License-Identifier: Apache-2.0
#include "core/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>

#include "core/error.h"
#include "tests/support/temporary_directory.h"

namespace pathline::core {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Names = std::vector<std::string>;

TEST(Listed, ReadsAsAPhrase) {
  EXPECT_EQ(listed(Names{}), "");
  EXPECT_EQ(listed(Names{"a"}), "a");
  EXPECT_EQ(listed(Names{"a", "b"}), "a and b");
  EXPECT_EQ(listed(Names{"a", "b", "c"}), "a, b and c");
}

TEST(NearestName, HasTheFewestEdits) {
  const Names keys{"steps", "batch", "slices", "precision"};
  EXPECT_EQ(nearest_name("step", keys), "steps");
  EXPECT_EQ(nearest_name("bacth", keys), "batch");
  EXPECT_EQ(nearest_name("slises", keys), "slices");
  EXPECT_EQ(nearest_name("precison", keys), "precision");
  EXPECT_EQ(nearest_name("anything", Names{}), "");
}

TEST(Split, KeepsEmptyPartsBetweenSeparators) {
  EXPECT_THAT(split("", ','), IsEmpty());
  EXPECT_THAT(split("a", ','), ElementsAre("a"));
  EXPECT_THAT(split("a,,b,", ','), ElementsAre("a", "", "b", ""));
}

TEST(HumanBytes, HasThreeDigits) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(17), "17 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1024), "1.00 KiB");
  EXPECT_EQ(human_bytes(312 * 1024), "312 KiB");
  EXPECT_EQ(human_bytes((1u << 20) - 1), "1.00 MiB");
  EXPECT_EQ(human_bytes(3ull << 29), "1.50 GiB");
  EXPECT_EQ(human_bytes(~0ull), "16.0 EiB");
}

TEST(HumanSeconds, ChoosesTheUnit) {
  EXPECT_EQ(human_seconds(0.35), "0.35 s");
  EXPECT_EQ(human_seconds(45.28), "45.3 s");
  EXPECT_EQ(human_seconds(59.96), "1 min 00 s");
  EXPECT_EQ(human_seconds(250), "4 min 10 s");
  EXPECT_EQ(human_seconds(3599.6), "1 h 00 min");
  EXPECT_EQ(human_seconds(2 * 3600 + 3 * 60 + 5), "2 h 03 min");
  EXPECT_EQ(human_seconds(INFINITY), "unknown");
}

std::string refusal_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kUsage);
    return error.what();
  }
  return "";
}

TEST(ParseInteger, TakesWholeNumbersOnly) {
  EXPECT_EQ(parse_integer("-42", "--count"), -42);
  EXPECT_EQ(parse_integer("9223372036854775807", "--count"), INT64_MAX);
  for (const char* text : {"", "4x", " 4", "1.5", "1e3", "9223372036854775808"}) {
    EXPECT_THAT(refusal_of([&] { parse_integer(text, "--count"); }), HasSubstr("--count")) << text;
  }
}

TEST(ParseNumber, TakesNumbersOnly) {
  EXPECT_EQ(parse_number("2.5e-3", "--rtol"), 2.5e-3);
  EXPECT_EQ(parse_number("7", "--rtol"), 7.0);
  for (const char* text : {"", "x", "1,5", "nan", "1e999"}) {
    EXPECT_THAT(refusal_of([&] { parse_number(text, "--rtol"); }), HasSubstr("--rtol")) << text;
  }
}

TEST(ExpandPattern, FindsSortedPaths) {
  const tests::TemporaryDirectory directory;
  for (const char* name : {"b.h5", "a.h5", "c.txt"}) std::ofstream(directory / name) << "x";
  EXPECT_THAT(expand_pattern(directory / "*.h5"), ElementsAre(directory / "a.h5", directory / "b.h5"));
  EXPECT_THAT(expand_pattern(directory / "*.png"), IsEmpty());
  EXPECT_THAT(expand_pattern("missing.h5"), ElementsAre("missing.h5"));
}

}  // namespace
}  // namespace pathline::core
