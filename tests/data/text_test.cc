// SPDX-License-Identifier: Apache-2.0
// Prompts beside the samples of a set, and alone.
#include "data/text_columns.h"

#include <gtest/gtest.h>

#include <limits>

#include "core/error.h"
#include "data/image_store_writer.h"
#include "data/loader.h"
#include "tests/support/temporary_directory.h"

namespace pathline::data {
namespace {

constexpr std::int64_t kCount = 10;
constexpr TextShape kShape{2, 3, 4};

/// Number k of prompt i.
float number(std::int64_t i, std::size_t k) { return static_cast<float>(100 * i) + static_cast<float>(k); }

std::vector<float> prompt(std::int64_t i, std::size_t first, std::size_t count) {
  std::vector<float> values;
  for (std::size_t k = first; k < first + count; ++k) values.push_back(number(i, k));
  return values;
}

/// Two-dimensional points, prompts from number `from` on; `null_width` numbers in a token of the empty one.
void write_set(const std::string& path, std::int64_t from, std::int64_t null_width = kShape.width, float null = -1) {
  SetInfo info;
  info.kind = ItemKind::kPoint;
  info.count = kCount;
  info.channels = 2;
  ImageStoreWriter writer(path, info);
  const std::vector<float> point = {0.0f, 1.0f};
  for (std::int64_t i = 0; i < kCount; ++i) writer.append(std::as_bytes(std::span(point)), -1);
  writer.add_floats("text_embeddings", {kShape.tokens, kShape.width},
                    [&](std::int64_t i) { return prompt(from + i, 0, 6); });
  writer.add_floats("text_pooled", {kShape.pooled}, [&](std::int64_t i) { return prompt(from + i, 6, 4); });
  const std::vector<float> text(static_cast<std::size_t>(kShape.tokens * null_width), null), pooled(4, null);
  writer.add_block("null_text", {kShape.tokens, null_width}, text);
  writer.add_block("null_pooled", {kShape.pooled}, pooled);
  writer.finish();
}

TEST(Prompts, ComeWithTheirSamplesAlsoInParts) {
  const tests::TemporaryDirectory directory;
  write_set(directory.path() + "/a-00000-of-00002.h5", 0);
  write_set(directory.path() + "/a-00001-of-00002.h5", kCount);
  const auto source = open_source({directory.path() + "/a-*.h5"});
  EXPECT_EQ(source->info().text, kShape);
  EXPECT_EQ(*source->info().null_text, std::vector<float>(10, -1.0f));
  LoaderOptions options;
  options.batch = 8;
  options.first = 2;
  options.last = 5;  // the part of one of several ranks
  options.texts = true;
  const auto order = [](std::uint64_t position) { return static_cast<std::int64_t>(7 * position % (2 * kCount)); };
  Loader loader(*source, one_by_one(order), options);
  for (int n = 0; n < 3; ++n) {
    const Batch batch = loader.next();
    std::vector<float> expected;
    for (const std::int64_t sample : batch.samples) {
      for (const float value : prompt(sample, 0, kShape.values())) expected.push_back(value);
    }
    EXPECT_EQ(batch.texts, expected);
  }
}

TEST(Prompts, AreReadAlone) {
  const tests::TemporaryDirectory directory;
  write_set(directory.path() + "/a.h5", 5);
  const TextColumns prompts = TextColumns::open(directory.path() + "/a.h5");
  EXPECT_EQ(prompts.count(), kCount);
  std::vector<float> values(kShape.values());
  prompts.read(3, values);
  EXPECT_EQ(values, prompt(8, 0, kShape.values()));
}

TEST(Prompts, ThatDoNotFitAreRefused) {
  const tests::TemporaryDirectory directory;
  const std::string path = directory.path() + "/a-00000-of-00002.h5", other = directory.path() + "/a-00001-of-00002.h5";
  write_set(path, 0, kShape.width + 1);
  EXPECT_THROW(open_source({path}), core::Error);
  write_set(path, 0, kShape.width, std::numeric_limits<float>::infinity());
  EXPECT_THROW(open_source({path}), core::Error);
  write_set(path, 0);
  write_set(other, 0, kShape.width, -2);  // another encoder's empty prompt
  EXPECT_THROW(open_source({directory.path() + "/a-*.h5"}), core::Error);
}

}  // namespace
}  // namespace pathline::data
