// SPDX-License-Identifier: Apache-2.0
#include "trainer/data_scale.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <span>
#include <vector>

#include "data/made.h"

namespace pathline::trainer {
namespace {

std::string of_points(float factor) {
  data::SetInfo info;
  info.kind = data::ItemKind::kPoint;
  info.count = 200;
  info.channels = 2;
  std::vector<float> values;
  for (std::uint64_t i = 0; i < 200; ++i) {
    const data::LabelledPoint point = data::eight_gaussians_point(1, i);  // root mean square 2
    values.insert(values.end(), {factor * point.x, factor * point.y});
  }
  const auto bytes = std::as_bytes(std::span(values));
  return odd_scale(*data::source_in_memory(info, {bytes.begin(), bytes.end()}, {}));
}

std::string of_pictures(unsigned most) {
  data::SetInfo info;
  info.count = 3;
  info.height = info.width = 4;
  info.channels = 1;
  std::vector<std::byte> bytes;
  for (unsigned i = 0; i < 48; ++i) bytes.push_back(static_cast<std::byte>(i % 2 * most));
  return odd_scale(*data::source_in_memory(info, bytes, {}));
}

TEST(DataScale, SaysNothingOfDataOfTheScaleOfTheNoise) {
  EXPECT_EQ(of_points(1), "");
  EXPECT_EQ(of_points(0.25f), "");
  EXPECT_EQ(of_pictures(255), "");
  EXPECT_EQ(of_pictures(100), "");
}

TEST(DataScale, NamesTheScaleOfOthers) {
  EXPECT_THAT(of_points(100), testing::HasSubstr("root mean square of 199"));
  EXPECT_THAT(of_points(0.01f), testing::HasSubstr("root mean square of 0.0199"));
  EXPECT_THAT(of_pictures(1), testing::HasSubstr("[-1, -0.99"));
}

}  // namespace
}  // namespace pathline::trainer
