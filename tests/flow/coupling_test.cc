// SPDX-License-Identifier: Apache-2.0
#include "flow/coupling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/random.h"

namespace pathline::flow {
namespace {

std::vector<float> normals(std::uint64_t index, std::size_t count) {
  std::vector<float> values(count);
  core::Draws(4, index, core::Purpose::kMadeData).fill_normal(values);
  return values;
}

TEST(Coupling, ReadsItsWordsAndRefusesOthers) {
  EXPECT_FALSE(Coupling::parse("independent").permutes());
  EXPECT_TRUE(Coupling::parse("ot").permutes());
  EXPECT_EQ(Coupling::parse("sinkhorn:0.05").epsilon, 0.05);
  EXPECT_EQ(Coupling::parse("pairs").kind, Coupling::Kind::kPairs);
  for (const char* wrong : {"optimal", "sinkhorn", "sinkhorn:", "sinkhorn:0", "sinkhorn:x", ""}) {
    EXPECT_THROW(Coupling::parse(wrong), core::Error) << wrong;
  }
}

TEST(Coupling, LooksAtLabelsForConditionalModelsAlone) {
  CouplingOptions options;
  options.coupling = "ot";
  EXPECT_EQ(Coupling::of(options, true).label_cost, 10);
  EXPECT_EQ(Coupling::of(options, false).label_cost, 0);
}

TEST(CouplingOptions, RefuseWhatMakesNoSenseTogether) {
  const auto read = [](const std::string& text) {
    core::Config recipe = core::Config::from_text("[flow]\n" + text, "test");
    CouplingOptions options;
    bind(recipe, options);
    return options;
  };
  EXPECT_EQ(read("source = \"data:a.h5\"\ncoupling = \"ot\"").source, "data:a.h5");
  EXPECT_EQ(read("source = \"data:a.h5\"\ncoupling = \"pairs\"").source, "data:a.h5");
  for (const char* wrong : {"source = \"data:\"", "source = \"normal\"", "coupling = \"ot\"\ncoupling_block = 1",
                            "coupling = \"ot\"\ncoupling_label_cost = -1.0", "coupling_block = 20",
                            "coupling = \"pairs\"\ncoupling_label_cost = 0.0"}) {
    EXPECT_THROW(read(wrong), core::Error) << wrong;
  }
}

TEST(SquaredDistances, AreThoseOfTheVectorsWhateverIsComputedBesideThem) {
  constexpr std::size_t kRows = 5, kColumns = 71, kSize = 37;
  const auto x1 = normals(1, kRows * kSize), x0 = normals(2, kColumns * kSize);
  std::vector<float> costs(kRows * kColumns);
  squared_distances(x1, x0, kSize, costs);
  for (std::size_t i = 0; i < kRows; ++i) {
    for (std::size_t j = 0; j < kColumns; ++j) {
      double sum = 0;
      for (std::size_t d = 0; d < kSize; ++d) {
        const double difference = static_cast<double>(x1[i * kSize + d]) - x0[j * kSize + d];
        sum += difference * difference;
      }
      EXPECT_NEAR(costs[i * kColumns + j], sum, 1e-5 * sum);
      std::array<float, 1> alone;
      squared_distances(std::span(x1).subspan(i * kSize, kSize), std::span(x0).subspan(j * kSize, kSize), kSize, alone);
      EXPECT_EQ(costs[i * kColumns + j], alone[0]);
    }
  }
}

/// Samples at 0 and 10, noise at 9 and 1: crossing is cheaper, unless the labels forbid it.
TEST(Coupled, AddsTheCostOfLabels) {
  const std::vector<float> costs = {81, 1, 1, 81};
  const std::vector<std::int64_t> same = {0, 0}, different = {0, 1}, none = {-1, -1};
  const std::vector<std::uint64_t> positions = {0, 1};
  Coupling coupling = Coupling::parse("ot");
  const std::vector<std::int64_t> crossed = {1, 0}, straight = {0, 1};
  EXPECT_EQ(coupled(coupling, costs, different, 1, positions), crossed);
  coupling.label_cost = 10;
  EXPECT_EQ(coupled(coupling, costs, different, 1, positions), straight);
  EXPECT_EQ(coupled(coupling, costs, same, 1, positions), crossed);
  EXPECT_EQ(coupled(coupling, costs, none, 1, positions), crossed);
}

TEST(Coupled, ConditionalModelsKeepTheNoiseOfEveryLabelAmongItsSamples) {
  constexpr std::size_t kCount = 128;
  const auto x1 = normals(3, 2 * kCount), x0 = normals(4, 2 * kCount);
  std::vector<float> costs(kCount * kCount);
  squared_distances(x1, x0, 2, costs);
  std::vector<std::int64_t> labels;
  std::vector<std::uint64_t> positions;
  for (std::size_t i = 0; i < kCount; ++i) {
    labels.push_back(static_cast<std::int64_t>(i % 3));
    positions.push_back(i);
  }
  CouplingOptions options;
  options.coupling = "sinkhorn:0.5";  // labels are no part of the mean cost that eps is measured by
  const auto drawn = coupled(Coupling::of(options, true), costs, labels, 1, positions);
  for (std::size_t i = 0; i < kCount; ++i) EXPECT_EQ(labels[static_cast<std::size_t>(drawn[i])], labels[i]);
  options.coupling = "ot";
  const auto conditional = coupled(Coupling::of(options, true), costs, labels, 1, positions);
  const auto unconditional = coupled(Coupling::of(options, false), costs, labels, 1, positions);
  int moved = 0, mixed = 0;
  for (std::size_t i = 0; i < kCount; ++i) {
    EXPECT_EQ(labels[static_cast<std::size_t>(conditional[i])], labels[i]);
    moved += conditional[i] != static_cast<std::int64_t>(i);
    mixed += labels[static_cast<std::size_t>(unconditional[i])] != labels[i];
  }
  EXPECT_GT(moved, 64);  // it couples,
  EXPECT_GT(mixed, 32);  // and without labels it mixes them
}

}  // namespace
}  // namespace pathline::flow
