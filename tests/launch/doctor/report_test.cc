// SPDX-License-Identifier: Apache-2.0
#include "launch/doctor/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <stdexcept>

#include "core/error.h"
#include "launch/doctor/examination.h"

namespace pathline::doctor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Line of_rank(Line line, int rank, const std::string& host) {
  line.rank = rank;
  line.host = host;
  return line;
}

TEST(DoctorLine, SurvivesTheWayThroughJson) {
  const Line line = of_rank(broken("storage: space", "a \"b\"\nc", "free it"), 3, "node7");
  const Line back = line_of(json_of(line));
  EXPECT_EQ(json_of(line).find('\n'), std::string::npos);
  EXPECT_EQ(back.name, line.name);
  EXPECT_EQ(back.verdict, Verdict::kBroken);
  EXPECT_EQ(back.found, line.found);
  EXPECT_EQ(back.advice, line.advice);
  EXPECT_EQ(back.host, "node7");
  EXPECT_EQ(back.rank, 3);
}

TEST(DoctorLine, BytesThatAreNoTextDoNotEndTheReport) {
  EXPECT_NO_THROW(line_of(json_of(broken("libraries", "last words: \xff\xfe", ""))));
  EXPECT_THROW(line_of("chatter"), core::Error);
}

TEST(DoctorReport, SaysOnceWhatAllRanksSay) {
  const auto findings = merged({of_rank(good("memory", "9 GiB"), 1, "b"), of_rank(good("memory", "8 GiB"), 0, "a"),
                                of_rank(good("ranks", "2"), 0, "a")});
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[0].line.found, "8 GiB");  // rank 0's
  EXPECT_THAT(findings[0].ranks, ElementsAre(0, 1));
  EXPECT_EQ(findings[1].line.name, "ranks");
}

TEST(DoctorReport, NamesTheRanksOfWhatOnlySomeSay) {
  std::vector<Line> lines;
  for (int r = 0; r < 4; ++r) {
    lines.push_back(
        of_rank(r < 2 ? good("storage", "fine") : broken("storage", "full", "free it"), r, r < 2 ? "a" : "b"));
  }
  const std::string text = text_of(merged(lines), 4);
  EXPECT_THAT(text, HasSubstr("good    storage  fine\n"));
  EXPECT_THAT(text, HasSubstr("broken  storage  full [ranks 2-3 on b]\n"));
  EXPECT_THAT(text, HasSubstr("-> free it\n"));
  EXPECT_THAT(text, HasSubstr("broken 1, slow 0, good 1\n"));
}

TEST(DoctorReport, EndsWith4OnlyIfSomethingIsBroken) {
  EXPECT_EQ(exit_code_of({good("a", ""), slow("b", "", "")}), 0);
  EXPECT_EQ(exit_code_of({good("a", ""), broken("b", "", "")}), 4);
}

TEST(DoctorReport, TheLastSentenceOfAnErrorIsTheAdvice) {
  const Line line = broken_by("data", "cannot open x.h5 (training needs it). Check data.path.");
  EXPECT_EQ(line.found, "cannot open x.h5 (training needs it)");
  EXPECT_EQ(line.advice, "Check data.path");
  EXPECT_EQ(broken_by("data", "what").found, "what");
}

TEST(Examination, AProbeThatThrowsIsABrokenLine) {
  Examination exam(0, 60);
  EXPECT_TRUE(exam.look("data", 30, "", []() -> std::vector<Line> { throw std::runtime_error("gone. Look for it."); }));
  ASSERT_EQ(exam.lines().size(), 1u);
  EXPECT_EQ(exam.lines()[0].verdict, Verdict::kBroken);
  EXPECT_EQ(exam.lines()[0].found, "gone");
  EXPECT_FALSE(exam.hung());
}

TEST(Examination, AProbeThatDoesNotReturnIsABrokenLineWithItsName) {
  static std::promise<void> never;
  Examination exam(0, 60);
  EXPECT_FALSE(exam.look("storage", 0.01, "look at the server", [] {
    never.get_future().wait();
    return std::vector<Line>{};
  }));
  ASSERT_EQ(exam.lines().size(), 1u);
  EXPECT_EQ(exam.lines()[0].name, "storage");
  EXPECT_EQ(exam.lines()[0].verdict, Verdict::kBroken);
  EXPECT_EQ(exam.lines()[0].advice, "look at the server");
  EXPECT_TRUE(exam.hung());
  never.set_value();
}

}  // namespace
}  // namespace pathline::doctor
