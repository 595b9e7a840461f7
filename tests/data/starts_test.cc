// SPDX-License-Identifier: Apache-2.0
// /x0 beside the samples of a set: what each was made from.
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/random.h"
#include "data/image_store_writer.h"
#include "data/loader.h"
#include "tests/support/temporary_directory.h"

namespace pathline::data {
namespace {

constexpr std::int64_t kCount = 30;

SetInfo small_pictures() {
  SetInfo info;
  info.count = kCount;
  info.height = 2;
  info.width = 5;
  info.channels = 3;
  return info;
}

/// Items whose start is the item itself, as float: item i = from + i.
void write_set(const std::string& path, std::int64_t from, bool with_starts) {
  const SetInfo info = small_pictures();
  ImageStoreWriter writer(path, info);
  const auto pixels = [&](std::int64_t i) {
    std::vector<std::byte> item(info.item_bytes());
    for (std::size_t k = 0; k < item.size(); ++k) {
      const core::Draws draws(9, static_cast<std::uint64_t>(from + i), core::Purpose::kMadeData);
      item[k] = static_cast<std::byte>(draws.bits(k) & 255);
    }
    return item;
  };
  for (std::int64_t i = 0; i < kCount; ++i) writer.append(pixels(i), -1);
  if (with_starts) {
    writer.add_floats("x0", {info.height, info.width, info.channels}, [&](std::int64_t i) {
      std::vector<float> start;
      for (const std::byte pixel : pixels(i)) start.push_back(static_cast<float>(pixel) * (1 / 127.5f) - 1);
      return start;
    });
  }
  writer.finish();
}

TEST(Starts, AreMirroredWithTheirSamplesAlsoInParts) {
  const tests::TemporaryDirectory directory;
  write_set(directory.path() + "/a-00000-of-00002.h5", 0, true);
  write_set(directory.path() + "/a-00001-of-00002.h5", kCount, true);
  const auto source = open_source({directory.path() + "/a-*.h5"});
  ASSERT_TRUE(source->has_starts());
  LoaderOptions options;
  options.batch = options.last = 2 * kCount;
  options.flip = options.starts = true;
  options.seed = 3;
  Loader loader(*source,
                one_by_one([](std::uint64_t position) { return static_cast<std::int64_t>(position % (2 * kCount)); }),
                options);
  const Batch batch = loader.next(), again = loader.next();
  EXPECT_EQ(batch.starts, batch.values);
  EXPECT_EQ(again.starts, again.values);
  EXPECT_NE(batch.values, again.values);  // other places of the same samples are mirrored
}

TEST(Starts, AreMissingWhereOnePartHasNone) {
  const tests::TemporaryDirectory directory;
  write_set(directory.path() + "/a-00000-of-00002.h5", 0, true);
  write_set(directory.path() + "/a-00001-of-00002.h5", kCount, false);
  EXPECT_FALSE(open_source({directory.path() + "/a-*.h5"})->has_starts());
}

TEST(Starts, OfAnotherShapeAreRefused) {
  const tests::TemporaryDirectory directory;
  const std::string path = directory.path() + "/a.h5";
  const SetInfo info = small_pictures();
  ImageStoreWriter writer(path, info);
  const std::vector<std::byte> item(info.item_bytes());
  for (std::int64_t i = 0; i < kCount; ++i) writer.append(item, -1);
  writer.add_floats("x0", {2}, [](std::int64_t) { return std::vector<float>(2); });
  writer.finish();
  try {
    open_source({path});
    FAIL();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kInput);
    EXPECT_NE(std::string(error.what()).find("x0"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace pathline::data
