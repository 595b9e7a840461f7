// SPDX-License-Identifier: Apache-2.0
// Stores that are written again: the same items with everything that belongs to them, in another storage, order or
// file.
#include "data/repack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <numeric>
#include <set>

#include "core/error.h"
#include "data/content_digest.h"
#include "data/hdf5.h"
#include "data/image_store_writer.h"
#include "data/store_columns.h"
#include "data/verify.h"
#include "tests/data/made_file.h"
#include "tests/support/temporary_directory.h"

namespace pathline::data {
namespace {

using ::testing::HasSubstr;
using tests::TemporaryDirectory;
using Items = std::vector<std::int64_t>;

constexpr std::int64_t kCount = 37;
const auto kQuiet = [](std::int64_t) {};

SetInfo made_info(std::int64_t count) {
  SetInfo info;
  info.count = count, info.height = 6, info.width = 5, info.channels = 3, info.classes = 4;
  info.class_names = {"ant", "bee", "cow", "dog"};
  return info;
}

std::byte pixel(std::int64_t item, std::size_t k) {
  return static_cast<std::byte>((item * 31 + static_cast<std::int64_t>(k) * 7) % 256);
}
std::int64_t label(std::int64_t item) { return item * item % 7 % 4; }
float number(std::int64_t item, std::size_t k) { return static_cast<float>(item) + 0.25f * static_cast<float>(k); }

std::vector<float> numbers(std::int64_t item, std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t k = 0; k < count; ++k) values[k] = number(item, k);
  return values;
}

/// Items [first, last) of a set that has every column there is.
void write_part(const std::string& path, std::int64_t first, std::int64_t last) {
  ImageStoreWriter writer(path, made_info(last - first), "test");
  std::vector<std::byte> item(90);
  Items ids;
  for (std::int64_t i = first; i < last; ++i) {
    for (std::size_t k = 0; k < item.size(); ++k) item[k] = pixel(i, k);
    writer.append(item, label(i));
    ids.push_back(1000 + i);
  }
  writer.add_column("ids", std::span<const std::int64_t>(ids));
  writer.add_floats("x0", {6, 5, 3}, [&](std::int64_t i) { return numbers(first + i, 90); });
  writer.add_bytes("masks", {6, 5},
                   [&](std::int64_t i) { return std::vector<std::byte>(30, static_cast<std::byte>((first + i) % 2)); });
  writer.add_floats("text_embeddings", {2, 3}, [&](std::int64_t i) { return numbers(first + i, 6); });
  writer.add_floats("text_pooled", {4}, [&](std::int64_t i) { return numbers(first + i, 4); });
  writer.add_block("null_text", {2, 3}, numbers(-1, 6));
  writer.add_block("null_pooled", {4}, numbers(-2, 4));
  writer.add_attribute("generated_by", "euler, 8 steps");
  writer.finish();
}

template <class Value>
std::vector<Value> column(const std::string& path, const std::string& name, hdf5::Element element) {
  const hdf5::DataSet set = hdf5::File::open(path).data_set(name);
  std::vector<Value> values(set.elements());
  set.read(0, set.shape()[0], element, std::as_writable_bytes(std::span(values)));
  return values;
}

/// Every item of the store with all that belongs to it, found by its id.
void expect_items(const std::string& path, const Items& items) {
  const auto source = open_source({path});
  ASSERT_EQ(source->info().count, static_cast<std::int64_t>(items.size()));
  EXPECT_EQ(source->info().classes, 4);
  EXPECT_EQ(source->info().class_names, made_info(1).class_names);
  EXPECT_EQ(*source->info().null_text, [] {
    std::vector<float> null = numbers(-1, 6);
    const std::vector<float> pooled = numbers(-2, 4);
    null.insert(null.end(), pooled.begin(), pooled.end());
    return null;
  }());
  const Items ids = column<std::int64_t>(path, "/ids", hdf5::Element::kInt64);
  std::vector<std::byte> bytes(90), mask(30);
  std::vector<float> start(90), text(10);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::int64_t item = items[i], at = static_cast<std::int64_t>(i);
    source->read(at, bytes);
    source->read_start(at, start);
    source->read_mask(at, mask);
    source->read_text(at, text);
    for (std::size_t k = 0; k < 90; ++k) ASSERT_EQ(bytes[k], pixel(item, k)) << i;
    EXPECT_EQ(source->label(at), label(item));
    EXPECT_EQ(ids[i], 1000 + item);
    EXPECT_EQ(start, numbers(item, 90));
    EXPECT_EQ(mask, std::vector<std::byte>(30, static_cast<std::byte>(item % 2)));
    EXPECT_EQ(std::vector<float>(text.begin(), text.begin() + 6), numbers(item, 6));
    EXPECT_EQ(std::vector<float>(text.begin() + 6, text.end()), numbers(item, 4));
  }
  EXPECT_EQ(hdf5::File::open(path).text("/", "generated_by"), "euler, 8 steps");
  const Verified found = verify(*source, 2, kQuiet);
  EXPECT_TRUE(found.damaged.empty());
  EXPECT_EQ(found.digest, source->info().digest);
}

Items all_items() {
  Items items(kCount);
  std::iota(items.begin(), items.end(), 0);
  return items;
}

std::string refusal(const std::function<void()>& body) {
  try {
    body();
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kInput);
    return error.what();
  }
  return "accepted";
}

class Repack : public ::testing::Test {
 protected:
  Repack() { write_part(whole_, 0, kCount); }
  std::string bytes_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const TemporaryDirectory directory_;
  const std::string whole_ = directory_ / "whole.h5", out_ = directory_ / "out.h5";
};

TEST_F(Repack, KeepsEverythingInEveryStorageAndTheDigest) {
  const WholeStore store({whole_});
  for (const hdf5::Chunking& how : {hdf5::Chunking{}, {1, 0}, {5, 0}, {1, 1}, {5, 9}, {kCount, 4}, {1000, 4}}) {
    SCOPED_TRACE(core::concat(how.rows, " rows a chunk, level ", how.deflate));
    EXPECT_EQ(store.write(all_items(), out_, how, 3, kQuiet), store.source().info().digest);
    expect_items(out_, all_items());
    const WholeStore again({out_});  // and back
    EXPECT_EQ(again.write(all_items(), directory_ / "back.h5", {}, 3, kQuiet), store.source().info().digest);
    expect_items(directory_ / "back.h5", all_items());
  }
}

TEST_F(Repack, StoresWhatWasAskedFor) {
  const WholeStore store({whole_});
  store.write(all_items(), out_, {5, 9}, 2, kQuiet);
  const hdf5::File file = hdf5::File::open(out_);
  EXPECT_EQ(file.data_set("/images").storage(), "chunks of 5x6x5x3, filtered");
  EXPECT_EQ(file.data_set("/x0").storage(), "chunks of 5x6x5x3, filtered");
  EXPECT_EQ(file.data_set("/labels").storage(), "contiguous");
  EXPECT_THAT(open_source({out_})->info().description, HasSubstr("read directly, 5 items at a time"));
  // The library's own filters agree with what was deflated beside it.
  const std::vector<std::uint8_t> images = column<std::uint8_t>(out_, "/images", hdf5::Element::kUint8);
  for (std::size_t i = 0; i < images.size(); ++i) {
    ASSERT_EQ(static_cast<std::byte>(images[i]), pixel(static_cast<std::int64_t>(i / 90), i % 90));
  }
  const std::vector<float> starts = column<float>(out_, "/x0", hdf5::Element::kFloat32);
  for (std::size_t i = 0; i < starts.size(); ++i) {
    ASSERT_EQ(starts[i], number(static_cast<std::int64_t>(i / 90), i % 90));
  }
}

TEST_F(Repack, IsTheSameFileWhateverTheThreads) {
  const WholeStore store({whole_});
  store.write(all_items(), out_, {}, 1, kQuiet);
  store.write(all_items(), directory_ / "threads.h5", {}, 4, kQuiet);
  EXPECT_EQ(bytes_of(out_), bytes_of(directory_ / "threads.h5"));
}

TEST_F(Repack, JoinsParts) {
  write_part(directory_ / "p-00000-of-00002.h5", 0, 20);
  write_part(directory_ / "p-00001-of-00002.h5", 20, kCount);
  const WholeStore store({directory_ / "p-*.h5"});
  const auto digest = store.write(all_items(), out_, {}, 2, kQuiet);
  EXPECT_EQ(digest, open_source({whole_})->info().digest);
  expect_items(out_, all_items());
}

TEST_F(Repack, OrdersByClassAndByKey) {
  const WholeStore store({whole_});
  Items by_class = all_items();
  std::ranges::stable_sort(by_class, {}, label);
  EXPECT_EQ(repacked_order(store.source(), true, std::nullopt), by_class);
  const Items shuffled = repacked_order(store.source(), false, 7);
  EXPECT_TRUE(std::ranges::is_permutation(shuffled, all_items()));
  EXPECT_NE(shuffled, all_items());
  EXPECT_NE(shuffled, repacked_order(store.source(), false, 8));
  Items both = shuffled;
  std::ranges::stable_sort(both, {}, label);
  EXPECT_EQ(repacked_order(store.source(), true, 7), both);
  store.write(both, out_, {3, 1}, 2, kQuiet);
  expect_items(out_, both);
}

TEST_F(Repack, OfAnyOrderHasTheSameUnorderedDigest) {
  const WholeStore store({whole_});
  const Verified before = verify(store.source(), 2, kQuiet);
  store.write(repacked_order(store.source(), false, 3), out_, {4, 2}, 2, kQuiet);
  const Verified after = verify(*open_source({out_}), 2, kQuiet);
  EXPECT_NE(after.digest, before.digest);
  EXPECT_EQ(after.unordered, before.unordered);
  Items other = all_items();
  other[3] = other[4];  // one item twice, another not at all
  store.write(other, out_, {}, 2, kQuiet);
  EXPECT_NE(verify(*open_source({out_}), 2, kQuiet).unordered, before.unordered);
}

TEST(UnorderedDigest, IsTheOneOfTheFormatPage) {
  SetInfo info;
  info.count = 2, info.channels = 1;
  UnorderedDigest forwards(info), backwards(info);
  forwards.add(0x527d5351, 0), forwards.add(0xff000000, 1);
  backwards.add(0xff000000, 1), backwards.add(0x527d5351, 0);
  EXPECT_EQ(forwards.text(), backwards.text());
  EXPECT_EQ(forwards.text(), "sum64:918ccbe05beaff23");
}

TEST_F(Repack, RefusesWhatItCannotTakeAlong) {
  EXPECT_THAT(refusal([&] {
                MadeFile(out_).bytes("imgs", {4, 3, 6, 5});
                WholeStore({out_});
              }),
              HasSubstr("no image store"));
  write_part(out_, 0, 5);
  const auto add = [&](const char* name, hid_t type, const Shape& shape) {
    const hid_t file = H5Fopen(out_.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
    H5Dclose(H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Sclose(space), H5Fclose(file);
  };
  add("statistics", H5T_NATIVE_FLOAT, {3, 4});
  EXPECT_THAT(refusal([&] { WholeStore({out_}); }), HasSubstr("cannot take /statistics float32 3x4 of " + out_));
  write_part(out_, 0, 5);
  const hid_t text = H5Tcopy(H5T_C_S1);
  H5Tset_size(text, H5T_VARIABLE);
  add("captions", text, {5});
  H5Tclose(text);
  EXPECT_THAT(refusal([&] { WholeStore({out_}); }), HasSubstr("cannot take /captions"));
  write_part(directory_ / "a.h5", 0, 5);
  write_part(directory_ / "b.h5", 5, 9);
  const auto change = [&](const char* name) {
    const hid_t file = H5Fopen((directory_ / "b.h5").c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    H5Ldelete(file, name, H5P_DEFAULT);
    H5Fclose(file);
  };
  change("ids");
  EXPECT_THAT(refusal([&] { WholeStore({directory_ / "a.h5", directory_ / "b.h5"}); }),
              HasSubstr("do not hold the same data sets"));
}

TEST_F(Repack, DoesNotBlessDamage) {
  std::string bytes = bytes_of(whole_);
  std::string item(90, '\0');
  for (std::size_t k = 0; k < item.size(); ++k) item[k] = static_cast<char>(pixel(11, k));
  bytes[bytes.find(item) + 40] ^= 1;
  std::ofstream(whole_, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  const WholeStore store({whole_});
  EXPECT_THAT(refusal([&] { store.write(all_items(), out_, {}, 2, kQuiet); }), HasSubstr("item 11 of whole.h5"));
  EXPECT_FALSE(std::ifstream(out_).good());
}

std::map<std::int64_t, std::int64_t> counts(const Items& items) {
  std::map<std::int64_t, std::int64_t> found;
  for (const std::int64_t item : items) ++found[label(item)];
  return found;
}

TEST_F(Repack, SplitsIntoTwoDisjointPartsWithTheSameSharesOfClasses) {
  const WholeStore store({whole_});
  for (const std::int64_t held_out : {1, 4, 9, 18, 36}) {
    for (const bool stratified : {true, false}) {
      const Split parts = split(store.source(), {held_out, stratified, 5});
      EXPECT_EQ(static_cast<std::int64_t>(parts.held_out.size()), held_out);
      Items both = parts.training;
      both.insert(both.end(), parts.held_out.begin(), parts.held_out.end());
      EXPECT_TRUE(std::ranges::is_sorted(parts.training) && std::ranges::is_sorted(parts.held_out));
      EXPECT_TRUE(std::ranges::is_permutation(both, all_items()));
      if (!stratified) continue;
      auto in_part = counts(parts.held_out);
      for (const auto& [one, all] : counts(all_items())) {
        const double exact = static_cast<double>(all * held_out) / kCount;
        EXPECT_LT(std::abs(static_cast<double>(in_part[one]) - exact), 1) << one;
      }
    }
  }
}

TEST_F(Repack, SplitsByKeyAlone) {
  const WholeStore store({whole_});
  const Split once = split(store.source(), {9, true, 5});
  EXPECT_EQ(once.held_out, split(store.source(), {9, true, 5}).held_out);
  EXPECT_NE(once.held_out, split(store.source(), {9, true, 6}).held_out);
  store.write(once.training, out_, {}, 2, kQuiet);
  expect_items(out_, once.training);
  store.write(once.held_out, directory_ / "held.h5", {2, 3}, 2, kQuiet);
  expect_items(directory_ / "held.h5", once.held_out);
}

}  // namespace
}  // namespace pathline::data
