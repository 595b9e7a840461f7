// SPDX-License-Identifier: Apache-2.0
// Files are read again by code that the sinks do not use: the PNG decoder, the .npz and image store readers.
#include "sampler/sink.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <numeric>

#include "core/error.h"
#include "core/file_system.h"
#include "data/hdf5.h"
#include "data/npz.h"
#include "data/png.h"
#include "data/shard_source.h"
#include "sampler/to_record.h"
#include "tests/support/temporary_directory.h"

namespace pathline::sampler {
namespace {

/// Level `8 * id + channel` everywhere, as a value.
Sample flat_sample(std::int64_t id, std::int64_t channels, std::int64_t size, std::int64_t label = -1) {
  Sample sample;
  sample.id = id;
  sample.label = label;
  sample.nfe = 100 + id;
  sample.value = at::empty({channels, size, size}, at::kFloat);
  for (std::int64_t c = 0; c < channels; ++c) {
    sample.value[c].fill_(static_cast<double>(8 * id + c) / 127.5 - 1);
  }
  return sample;
}

SinkOptions options_for(const std::string& path, std::int64_t count, std::vector<std::int64_t> shape) {
  SinkOptions options;
  options.path = path;
  options.count = count;
  options.sample_shape = std::move(shape);
  options.seed = 77;
  options.description = "solver dopri5";
  return options;
}

data::Image read_picture(const std::string& path) {
  core::PosixFileSystem files;
  const std::string text = core::read_text(files, path);
  return data::decode_png(std::as_bytes(std::span(text)), path);
}

TEST(ToEightBits, RoundsToTheNearestAndClamps) {
  const auto level = [](float value) { return value / 127.5f - 1.0f; };
  const std::vector<float> values = {-3.0f, -1.0f, 1.0f, 5.0f, 0.0f, level(0.4f), level(0.6f), level(254.4f)};
  at::Tensor value = at::empty({1, 1, static_cast<std::int64_t>(values.size())}, at::kFloat);
  std::copy(values.begin(), values.end(), value.mutable_data_ptr<float>());
  EXPECT_THAT(to_8_bit(value), testing::ElementsAre(0, 0, 255, 255, 128, 0, 1, 254));
}

TEST(ToEightBits, PutsChannelsSideBySide) {
  at::Tensor value = at::full({3, 1, 2}, -1.0);
  value[1][0][1] = 1.0;  // green of the right pixel
  EXPECT_THAT(to_8_bit(value), testing::ElementsAre(0, 0, 0, 0, 255, 0));
}

TEST(PngSink, LaysSamplesOutInOrderOfIds) {
  const tests::TemporaryDirectory directory;
  const std::string path = directory / "grid.png";
  const auto sink = make_sink(options_for(path, 5, {3, 32, 32}));
  for (const std::int64_t id : {4, 0, 2, 1, 3}) sink->put(to_record(flat_sample(id, 3, 32)));
  EXPECT_FALSE(std::filesystem::exists(path));
  sink->finish();
  const data::Image picture = read_picture(path);
  ASSERT_EQ(picture.width, 3 * 64 + 2 * 2);  // 32 pixels are enlarged to 64, 5 samples take 3 columns
  ASSERT_EQ(picture.height, 2 * 64 + 2);
  for (std::int64_t id = 0; id < 5; ++id) {
    for (const std::int64_t inside : {0, 63}) {
      const std::int64_t y = id / 3 * 66 + inside, x = id % 3 * 66 + inside;
      for (std::int64_t c = 0; c < 3; ++c) EXPECT_EQ(picture.at(y, x, c), 8 * id + c) << id;
    }
  }
  EXPECT_EQ(picture.at(0, 64, 0), 255);  // the gap
}

TEST(PngSink, HasOneColumnALabelWhereThatFillsTheGrid) {
  EXPECT_EQ(columns_for(40, 10), 10);
  EXPECT_EQ(columns_for(41, 10), 0);
  EXPECT_EQ(columns_for(16, 1), 0);
  EXPECT_EQ(columns_for(2000, 1000), 0);
  const tests::TemporaryDirectory directory;
  SinkOptions options = options_for(directory / "grid.png", 6, {1, 64, 64});
  options.columns = 2;
  const auto sink = make_sink(options);
  for (std::int64_t id = 0; id < 6; ++id) sink->put(to_record(flat_sample(id, 1, 64)));
  sink->finish();
  const data::Image picture = read_picture(options.path);
  EXPECT_EQ(picture.width, 2 * 64 + 2);
  EXPECT_EQ(picture.height, 3 * 64 + 2 * 2);
  EXPECT_EQ(picture.at(66, 0, 0), 16);  // id 2 begins the second row
}

TEST(PngSink, DrawsPointsOfThePlaneWhereTheyLie) {
  const tests::TemporaryDirectory directory;
  const auto sink = make_sink(options_for(directory / "points.png", 2, {2}));
  for (const std::int64_t id : {0, 1}) {
    Sample sample;
    sample.id = id;
    sample.value = at::full({2}, id == 0 ? 1.0 : -0.5, at::kFloat);
    sink->put(to_record(sample));
  }
  sink->finish();
  const data::Image picture = read_picture(directory / "points.png");
  double x = 0, y = 0, dark = 0;
  for (std::int64_t row = 0; row < picture.height; ++row) {
    for (std::int64_t column = 0; column < picture.width; ++column) {
      if (picture.at(row, column, 0) == 255) continue;
      x += static_cast<double>(column - picture.width / 2);
      y += static_cast<double>(picture.height / 2 - row);
      dark += 1;
    }
  }
  EXPECT_EQ(dark, 2 * 9);  // two dots of 3 x 3
  EXPECT_GT(x / dark, 0);  // (1, 1) and (-0.5, -0.5): the mean lies up and to the right
  EXPECT_EQ(x, y);
}

TEST(NpzSink, WritesArraysThatEvaluationScriptsRead) {
  const tests::TemporaryDirectory directory;
  SinkOptions options = options_for(directory / "set.npz", 4, {3, 2, 2});
  options.labelled = true;
  options.classes = 10;
  const auto sink = make_sink(options);
  for (const std::int64_t id : {2, 3, 1, 0}) sink->put(to_record(flat_sample(id, 3, 2, 9 - id)));
  sink->finish();
  core::PosixFileSystem files;
  const data::NpzReader reader(files, options.path);
  const data::NpyArray images = reader.read("arr_0"), labels = reader.read("arr_1");
  EXPECT_EQ(images.dtype, "u1");
  EXPECT_EQ(images.shape, (std::vector<std::int64_t>{4, 2, 2, 3}));
  for (std::size_t i = 0; i < 48; ++i) EXPECT_EQ(images.as<std::uint8_t>()[i], 8 * (i / 12) + i % 3);
  EXPECT_EQ(labels.dtype, "i8");
  EXPECT_THAT(labels.as<std::int64_t>(), testing::ElementsAre(9, 8, 7, 6));
}

TEST(NpzSink, KeepsPointsAsFloats) {
  const tests::TemporaryDirectory directory;
  const auto sink = make_sink(options_for(directory / "points.npz", 3, {2}));
  for (std::int64_t id = 0; id < 3; ++id) {
    Sample sample;
    sample.id = id;
    sample.value = at::full({2}, 0.1 + static_cast<double>(id), at::kFloat);
    sink->put(to_record(sample));
  }
  sink->finish();
  core::PosixFileSystem files;
  const data::NpzReader reader(files, directory / "points.npz");
  EXPECT_THAT(reader.read("arr_0").as<float>(), testing::ElementsAre(0.1f, 0.1f, 1.1f, 1.1f, 2.1f, 2.1f));
  EXPECT_FALSE(reader.has("arr_1"));
}

TEST(H5Sink, WritesASetThatCanBeTrainedOn) {
  const tests::TemporaryDirectory directory;
  SinkOptions options = options_for(directory / "set.h5", 4, {3, 2, 2});
  options.labelled = true;
  options.classes = 10;
  const auto sink = make_sink(options);
  for (const std::int64_t id : {1, 0, 3, 2}) sink->put(to_record(flat_sample(id, 3, 2, id + 5)));
  sink->finish();
  const auto source = data::open_source({options.path});
  EXPECT_EQ(source->info().count, 4);
  EXPECT_EQ(source->info().classes, 10);
  std::vector<std::byte> item(source->info().item_bytes());
  for (std::int64_t id = 0; id < 4; ++id) {
    source->read(id, item);
    EXPECT_EQ(source->label(id), id + 5);
    for (std::size_t i = 0; i < item.size(); ++i) EXPECT_EQ(std::to_integer<std::size_t>(item[i]), 8 * id + i % 3);
  }
}

TEST(H5Sink, HoldsTheStatesThatSamplesPassedBesideThem) {
  const tests::TemporaryDirectory directory;
  SinkOptions options = options_for(directory / "set.h5", 3, {3, 2, 2});
  options.trajectory_times = {0, 0.3};
  options.trajectory_shape = {4, 1, 2};  // a decoder makes other shapes of them
  const auto sink = make_sink(options);
  for (const std::int64_t id : {1, 0}) {
    Sample sample = flat_sample(id, 3, 2);
    sample.trajectory = at::arange(16 * id, 16 * (id + 1), at::kFloat).view({2, 4, 1, 2});
    sink->put(to_record(sample));
  }
  Sample failed = flat_sample(2, 3, 2);
  failed.status = SampleStatus::kFailed;
  sink->put(to_record(failed));
  sink->finish();

  const data::hdf5::File file = data::hdf5::File::open(options.path);
  const data::hdf5::DataSet states = file.data_set("/trajectory");
  ASSERT_EQ(states.shape(), (std::vector<std::int64_t>{3, 2, 1, 2, 4}));
  std::vector<float> values(48);
  states.read(0, 3, data::hdf5::Element::kFloat32, std::as_writable_bytes(std::span(values)));
  std::size_t i = 0;
  for (const int id : {0, 1, 2}) {
    for (int k = 0; k < 2; ++k) {
      for (int x = 0; x < 2; ++x) {
        for (int c = 0; c < 4; ++c) EXPECT_EQ(values[i++], id == 2 ? 0 : 16 * id + 8 * k + 2 * c + x);
      }
    }
  }
  std::vector<double> times(2);
  file.data_set("/trajectory_times")
      .read(0, 2, data::hdf5::Element::kFloat64, std::as_writable_bytes(std::span(times)));
  EXPECT_EQ(times, options.trajectory_times);

  const auto source = data::open_source({options.path});  // the set itself is as ever
  std::vector<std::byte> item(source->info().item_bytes());
  source->read(1, item);
  for (std::size_t k = 0; k < item.size(); ++k) EXPECT_EQ(std::to_integer<std::size_t>(item[k]), 8 + k % 3);
}

TEST(PngSink, DrawsTheWaysOfPointsBelowThem) {
  const tests::TemporaryDirectory directory;
  SinkOptions options = options_for(directory / "ways.png", 1, {2});
  options.trajectory_times = {0, 1};
  options.trajectory_shape = {2};
  const auto sink = make_sink(options);
  Sample sample;
  sample.value = at::full({2}, 1.0, at::kFloat);
  sample.trajectory = at::full({2, 2}, -1.0, at::kFloat);
  sample.trajectory[1] = 1.0;
  sink->put(to_record(sample));
  sink->finish();
  const data::Image picture = read_picture(options.path);
  const auto dark = [&](std::int64_t y, std::int64_t x) { return picture.at(y, x, 0) < 255; };
  const std::int64_t side = picture.height, edge = 12;  // from the lower left to the upper right corner of what is used
  for (std::int64_t x = edge; x < side - edge; ++x) EXPECT_TRUE(dark(side - x, x)) << x;
  EXPECT_FALSE(dark(side / 2 + 2, side / 2 + 2));
  EXPECT_LT(picture.at(edge, side - edge, 0), picture.at(side / 2, side / 2, 0));  // the point itself is darker
}

TEST(Sink, RefusesTrajectoriesWhereThereIsNoPlaceForThem) {
  const tests::TemporaryDirectory directory;
  const std::vector<std::int64_t> picture = {3, 8, 8};
  for (const std::string name : {"set.npz", "set.tar", "set/", "set.png"}) {
    SinkOptions options = options_for(directory / name, 3, picture);
    options.trajectory_times = {1};
    options.trajectory_shape = picture;
    try {
      make_sink(options);
      ADD_FAILURE() << name;
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kUsage);
      EXPECT_NE(std::string(error.what()).find("Write them to .h5"), std::string::npos) << error.what();
    }
  }
}

TEST(Sink, RefusesAGapAndLeavesNoFile) {
  for (const std::string ending : {".png", ".npz", ".h5", ".tar", "/"}) {
    const tests::TemporaryDirectory directory;
    {
      const auto sink = make_sink(options_for(directory / ("set" + ending), 3, {3, 8, 8}));
      for (const std::int64_t id : {0, 2}) {
        Record record = to_record(flat_sample(id, 3, 8));
        sink->put(takes_png("set" + ending) ? as_png(std::move(record), {3, 8, 8}) : std::move(record));
      }
      try {
        sink->finish();
        ADD_FAILURE() << "accepted a gap";
      } catch (const core::Error& error) {
        EXPECT_EQ(error.code(), core::ExitCode::kInput);
        EXPECT_NE(std::string(error.what()).find("sample 1 "), std::string::npos) << error.what();
      }
    }
    EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
  }
}

TEST(Sink, RefusesEndingsAndShapesThatItCannotWrite) {
  const tests::TemporaryDirectory directory;
  for (const auto& options :
       {options_for(directory / "set.jpg", 3, {3, 8, 8}), options_for(directory / "set", 3, {4, 8, 8}),
        options_for(directory / "set.tar", 3, {2}), options_for(directory / "set.png", 3, {4, 8, 8}),
        options_for(directory / "set.png", 3, {3}), options_for(directory / "set.npz", 0, {3, 8, 8})}) {
    try {
      make_sink(options);
      ADD_FAILURE() << options.path;
    } catch (const core::Error& error) {
      EXPECT_EQ(error.code(), core::ExitCode::kUsage);
    }
  }
}

}  // namespace
}  // namespace pathline::sampler
