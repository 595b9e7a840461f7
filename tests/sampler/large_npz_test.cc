// SPDX-License-Identifier: Apache-2.0
// A set of more than 4 GiB as .npz: sizes and places beyond 32 bits. Takes 4.3 GB of temporary storage.
#include <gtest/gtest.h>

#include <cstring>

#include "data/byte_stream.h"
#include "data/npz.h"
#include "sampler/sink.h"
#include "tests/support/temporary_directory.h"

namespace pathline::sampler {
namespace {

constexpr std::int64_t kSide = 1024, kCount = 4200;

/// Its bytes all `id` mod 251.
Record flat_record(std::int64_t id) {
  Record record;
  record.id = id;
  record.label = id % 7;
  record.item.assign(kSide * kSide, static_cast<std::byte>(id % 251));
  return record;
}

TEST(NpzSink, GoesBeyondFourGibibytes) {
  const tests::TemporaryDirectory directory;
  SinkOptions options;
  options.path = directory / "large.npz";
  options.count = kCount;
  options.sample_shape = {1, kSide, kSide};
  options.labelled = true;
  options.classes = 7;
  const auto sink = make_sink(options);
  for (std::int64_t id = 0; id < kCount; ++id) sink->put(flat_record(id));
  sink->finish();

  core::PosixFileSystem files;
  ASSERT_GT(files.size(options.path), std::uint64_t{1} << 32);
  const data::NpzReader reader(files, options.path);
  EXPECT_EQ(reader.header("arr_0").shape, (std::vector<std::int64_t>{kCount, kSide, kSide, 1}));
  const auto begin = reader.offset("arr_0");
  ASSERT_TRUE(begin.has_value());
  std::vector<std::byte> item(kSide * kSide);
  for (const std::int64_t id : {std::int64_t{0}, std::int64_t{4095}, std::int64_t{4096}, kCount - 1}) {
    files.read(options.path, *begin + static_cast<std::uint64_t>(id) * item.size(), item);
    EXPECT_EQ(item, flat_record(id).item) << id;
  }
  // the whole member once more, as a stream: its length and CRC are checked at the end
  const data::ZipReader zip(files, options.path);
  const auto stream = zip.open(*zip.find("arr_0.npy"));
  std::uint64_t bytes = 0;
  for (std::size_t n = 1; n > 0; bytes += n) n = stream->read(item);
  EXPECT_GT(bytes, std::uint64_t{1} << 32);
  const data::NpyArray labels = reader.read("arr_1");  // lies beyond 4 GiB
  ASSERT_EQ(labels.shape, std::vector<std::int64_t>{kCount});
  const auto values = labels.as<std::int64_t>();
  for (std::int64_t id = 0; id < kCount; ++id) EXPECT_EQ(values[static_cast<std::size_t>(id)], id % 7);
}

}  // namespace
}  // namespace pathline::sampler
