// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "sampler/generate.h"
#include "tests/support/temporary_directory.h"

namespace pathline::sampler {
namespace {

using List = std::vector<std::int64_t>;

TEST(ParseLabels, UnderstandsAllOneRangesAndLists) {
  EXPECT_EQ(parse_labels("all", 3), (List{0, 1, 2}));
  EXPECT_EQ(parse_labels("3", 10), (List{3}));
  EXPECT_EQ(parse_labels("2-5", 10), (List{2, 3, 4, 5}));
  EXPECT_EQ(parse_labels("0,4,7", 10), (List{0, 4, 7}));
  EXPECT_EQ(parse_labels("8-9,0", 10), (List{8, 9, 0}));
}

TEST(ParseLabels, ReadsAFileOfOneLabelALine) {
  const tests::TemporaryDirectory directory;
  const std::string path = directory / "labels.txt";
  std::ofstream(path) << "4\r\n2\n\n4\n";
  EXPECT_EQ(parse_labels(path, 5), (List{4, 2, 4}));
}

TEST(ParseLabels, RefusesWhatTheModelDoesNotKnow) {
  for (const std::string text : {"10", "0-10", "5-2", "", "dogs", "1--2", "-1", "3,"}) {
    try {
      parse_labels(text, 10);
      ADD_FAILURE() << "accepted \"" << text << "\"";
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kUsage) << text;
    }
  }
  EXPECT_THROW(parse_labels("all", 0), core::Error);
}

}  // namespace
}  // namespace pathline::sampler
