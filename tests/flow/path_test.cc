// SPDX-License-Identifier: Apache-2.0
// Paths against their definitions, their derivatives against differences, and what cannot be one is refused.
#include "flow/path.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <vector>

#include "core/error.h"
#include "tests/flow/table_path.h"

namespace pathline::flow {
namespace {

const std::vector<std::string> kPaths = {"linear",         "linear:0.1", "icfm:0.1",  "polynomial:2",
                                         "polynomial:1.5", "cosine",     "linear-vp", "vp",
                                         "vp:0.2,10",      "ou:3",       "ve:0.02,5", "table"};

Path path_of(const std::string& text) { return Path::parse(text == "table" ? tests::cosine_table() : text); }

TEST(Path, DerivativesAreThoseOfItsShares) {
  for (const std::string& text : kPaths) {
    const Path path = path_of(text);
    for (const double t : {0.0512, 0.211, 0.502, 0.772, 0.951}) {  // not at knots of the table
      const double h = 1e-5;  // differences err by h^2 times a third derivative, which stays below 1e4 there
      const PathPoint before = path.at(t - h), p = path.at(t), after = path.at(t + h);
      const double bound = 1e-6 * (1 + std::abs(p.ds));
      EXPECT_NEAR((after.a - before.a) / (2 * h), p.da, bound) << text << " at " << t;
      EXPECT_NEAR((after.s - before.s) / (2 * h), p.ds, bound) << text << " at " << t;
    }
  }
}

TEST(Path, GoesFromNoiseToDataWithLessNoiseAllTheWay) {
  for (const std::string& text : kPaths) {
    const Path path = path_of(text);
    double ratio = -1;
    for (int i = 0; i <= 50; ++i) {
      const PathPoint p = path.at(i / 50.0);
      EXPECT_GT(p.a / p.s, ratio) << text << " at " << i / 50.0;
      ratio = p.a / p.s;
    }
    EXPECT_DOUBLE_EQ(path.at(1).a, 1) << text;
    EXPECT_GE(path.at(0).s, 0.99) << text;
    EXPECT_LE(path.at(0).a, text.starts_with("ve") ? 1 : 0.1) << text;
  }
}

TEST(Path, HasTheSharesOfItsDefinition) {
  const auto expect = [](const std::string& text, double t, double a, double s) {
    EXPECT_NEAR(Path::parse(text).at(t).a, a, 1e-15) << text;
    EXPECT_NEAR(Path::parse(text).at(t).s, s, 1e-15) << text;
  };
  expect("linear", 0.3, 0.3, 0.7);
  expect("linear:0.1", 0.3, 0.3, 1 - 0.9 * 0.3);
  expect("icfm:0.1", 0.3, 0.3, 0.7);
  expect("polynomial:3", 0.5, 0.125, 0.875);
  expect("cosine", 0.5, std::sqrt(0.5), std::sqrt(0.5));
  expect("linear-vp", 0.6, 0.6, 0.8);
  expect("ou:2", 0.25, std::exp(-1.5), std::sqrt(1 - std::exp(-3.0)));
  expect("ve:0.1,10", 0.5, 1, 1);
  const double T = 0.25 * 19.9 / 2 + 0.5 * 0.1;  // at t = 0.5
  expect("vp", 0.5, std::exp(-T / 2), std::sqrt(1 - std::exp(-T)));
  EXPECT_EQ(Path::parse("icfm:0.1").jitter(), 0.1);
}

TEST(Path, ATableIsThePathThatItSamples) {
  const Path table = path_of("table"), cosine = Path::parse("cosine");
  for (const double t : {0.0, 0.0031, 0.4242, 0.9999, 1.0}) {  // knots lie 1/200 apart: cubics err by h^3 or less
    EXPECT_NEAR(table.at(t).a, cosine.at(t).a, 1e-5);
    EXPECT_NEAR(table.at(t).s, cosine.at(t).s, 1e-5);
  }
}

TEST(Path, FindsTheTimeOfANoiseLevel) {
  for (const std::string& text : kPaths) {
    const Path path = path_of(text);
    for (const double t : {0.01, 0.3, 0.6, 0.99}) {
      const PathPoint p = path.at(t);
      EXPECT_NEAR(path.time_of(p.a / p.s), t, 1e-12) << text;
    }
    EXPECT_EQ(path.time_of(0), 0) << text;
    EXPECT_EQ(path.time_of(std::numeric_limits<double>::infinity()), 1) << text;
  }
}

TEST(Path, HasOneTextForOnePath) {
  EXPECT_EQ(Path::parse("vp:0.1,20").text(), "vp");
  EXPECT_EQ(Path::parse("vp:0.2,20").text(), "vp:0.2,20");
  EXPECT_EQ(Path::parse("linear:0").text(), "linear");
  // A table is its lines, wherever its file is by then.
  const auto file = (std::filesystem::path(testing::TempDir()) / "pathline_table.txt").string();
  std::ofstream(file) << "# t a s\n0 0 1\n\n 0.5 0.6 0.4\n1 1 0\n";
  const Path path = Path::parse("table:" + file);
  EXPECT_EQ(path.text(), "table:0 0 1; 0.5 0.6 0.4; 1 1 0");
  std::filesystem::remove(file);
  EXPECT_EQ(Path::parse(path.text()).at(0.25).a, path.at(0.25).a);
}

TEST(Path, RefusesWhatIsNone) {
  const auto code_of = [](const std::string& text) {
    try {
      Path::parse(text);
    } catch (const core::Error& error) {
      return error.code();
    }
    return core::ExitCode::kFinished;
  };
  for (const char* text : {"", "liner", "linear:1", "linear:-1", "linear:a", "icfm", "polynomial:0.5", "cosine:2",
                           "vp:1", "vp:2,1", "ou", "ou:0", "ve:1", "ve:2,1", "ve:0,1"}) {
    EXPECT_EQ(code_of(text), core::ExitCode::kUsage) << text;
  }
  const auto file = (std::filesystem::path(testing::TempDir()) / "pathline_bad_path.txt").string();
  for (const char* text : {"", "0 0 1\n", "0 0 1\n0.5 x 1\n1 1 0\n", "0 0 1\n0.5 0.5\n1 1 0\n", "0.1 0 1\n1 1 0\n",
                           "0 0 1\n0.5 0.5 0.5\n0.5 0.6 0.4\n1 1 0\n", "0 0 1\n0.5 0.1 2\n0.6 0.1 2\n1 1 0\n",
                           "0 0 1\n1 1 -1\n", "0 0 1 2\n1 1 0 2\n", "0 0 0\n1 1 0\n"}) {
    std::ofstream(file) << text;
    EXPECT_EQ(code_of("table:" + file), core::ExitCode::kInput) << text;
  }
}

}  // namespace
}  // namespace pathline::flow
