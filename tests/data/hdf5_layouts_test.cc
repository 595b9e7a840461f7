// SPDX-License-Identifier: Apache-2.0
// Every way in which an HDF5 library stores an array, made here through the library and read back without it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hdf5.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <numeric>
#include <thread>

#include "core/error.h"
#include "data/shard_source.h"
#include "tests/support/temporary_directory.h"

namespace pathline::data {
namespace {

using ::testing::HasSubstr;
using tests::TemporaryDirectory;
using Shape = std::vector<hsize_t>;

const Shape kShape = {23, 6, 5, 3};  // no size is a multiple of the chunks below

/// Level of element `i` of the array.
int level(std::size_t i) { return static_cast<int>((i * 7 + i / 90 * 13) % 256); }

struct Storage {
  std::string name;
  Shape chunk;
  std::function<void(hid_t plan)> filters = [](hid_t) {};
  hid_t type = H5T_STD_U8LE;
  std::string read = "read directly";  // what the description must say
};

void shuffle_deflate(hid_t plan) { H5Pset_shuffle(plan), H5Pset_deflate(plan, 1); }
void deflate(hid_t plan) { H5Pset_deflate(plan, 6); }
void fletcher(hid_t plan) { H5Pset_fletcher32(plan); }
void everything(hid_t plan) { H5Pset_shuffle(plan), H5Pset_deflate(plan, 9), H5Pset_fletcher32(plan); }
void fletcher_first(hid_t plan) { H5Pset_fletcher32(plan), H5Pset_deflate(plan, 3); }
void early(hid_t plan) { H5Pset_alloc_time(plan, H5D_ALLOC_TIME_EARLY); }
void bare_edges(hid_t plan) { deflate(plan), H5Pset_chunk_opts(plan, H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS); }

std::vector<Storage> storages() {
  return {{"contiguous", {}},
          {"one an item", {1, 6, 5, 3}},
          {"several items", {4, 6, 5, 3}},
          {"all items", {23, 6, 5, 3}},
          {"tiles", {5, 4, 2, 1}},
          {"larger than items", {2, 6, 5, 3}, early},
          {"deflate", {1, 6, 5, 3}, deflate},
          {"deflate of several", {4, 6, 5, 3}, deflate, H5T_STD_U8LE, "4 items at a time"},
          {"deflated tiles", {5, 4, 2, 1}, deflate, H5T_STD_U8LE, "5 items at a time"},
          {"shuffle and deflate", {3, 6, 5, 3}, shuffle_deflate},
          {"fletcher32", {1, 6, 5, 3}, fletcher},
          {"shuffle, deflate, fletcher32", {7, 6, 5, 3}, everything},
          {"fletcher32, deflate", {7, 6, 5, 3}, fletcher_first},
          {"unfiltered edges", {4, 4, 4, 2}, bare_edges, H5T_STD_U8LE, "by the HDF5 library"},
          {"int16, big-endian", {}, [](hid_t) {}, H5T_STD_I16BE, "read and converted directly"},
          {"uint32, shuffled", {4, 3, 5, 3}, everything, H5T_STD_U32LE, "read and converted directly"},
          {"int64, big-endian, deflated", {1, 6, 5, 3}, shuffle_deflate, H5T_STD_I64BE, "read and converted directly"}};
}

void make(const std::string& path, const Storage& storage, H5F_libver_t low, hsize_t user_block, bool paged) {
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS), creation = H5Pcreate(H5P_FILE_CREATE);
  H5Pset_libver_bounds(access, low, H5F_LIBVER_LATEST);
  H5Pset_userblock(creation, user_block);
  if (paged) H5Pset_file_space_strategy(creation, H5F_FSPACE_STRATEGY_PAGE, false, 1);
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation, access);
  const hid_t plan = H5Pcreate(H5P_DATASET_CREATE);
  if (!storage.chunk.empty()) H5Pset_chunk(plan, 4, storage.chunk.data());
  storage.filters(plan);
  const hid_t space = H5Screate_simple(4, kShape.data(), nullptr);
  const hid_t set = H5Dcreate2(file, "images", storage.type, space, H5P_DEFAULT, plan, H5P_DEFAULT);
  ASSERT_GE(set, 0) << storage.name;
  std::vector<int> values(23 * 6 * 5 * 3);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = level(i);
  ASSERT_GE(H5Dwrite(set, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0) << storage.name;
  H5Dclose(set), H5Sclose(space), H5Pclose(plan), H5Fclose(file), H5Pclose(creation), H5Pclose(access);
}

/// Items in an order that is not the file's.
void expect_levels(const ShardSource& source) {
  std::vector<std::byte> item(90);
  for (std::int64_t step = 0; step < 46; ++step) {
    const std::int64_t index = step * 9 % 23;
    source.read(index, item);
    for (std::size_t k = 0; k < item.size(); ++k) {
      ASSERT_EQ(std::to_integer<int>(item[k]), level(static_cast<std::size_t>(index) * 90 + k)) << index << " " << k;
    }
  }
}

TEST(Hdf5Layouts, AreReadAsTheLibraryReadsThem) {
  const TemporaryDirectory directory;
  const std::string path = directory / "a.h5";
  for (const Storage& storage : storages()) {
    for (const H5F_libver_t low : {H5F_LIBVER_EARLIEST, H5F_LIBVER_V18, H5F_LIBVER_LATEST}) {
      for (const hsize_t user_block : {0, 4096}) {
        for (const bool paged : {false, true}) {
          SCOPED_TRACE(
              core::concat(storage.name, ", from version ", low, ", user block ", user_block, paged ? ", paged" : ""));
          make(path, storage, low, user_block, paged);
          const auto source = open_source({path});
          EXPECT_THAT(source->info().description, HasSubstr(storage.read));
          expect_levels(*source);
        }
      }
    }
  }
}

TEST(Hdf5Layouts, AreReadByManyThreadsAtOnce) {
  const TemporaryDirectory directory;
  make(directory / "a.h5", {"", {4, 6, 5, 3}, everything}, H5F_LIBVER_EARLIEST, 0, false);
  const auto source = open_source({directory / "a.h5"});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) threads.emplace_back([&] { expect_levels(*source); });
  for (std::thread& thread : threads) thread.join();
}

/// A file whose array is made by `fill`, which gets the open data set.
void make_by_chunks(const std::string& path, const Shape& chunk, const std::function<void(hid_t plan)>& prepare,
                    const std::function<void(hid_t set)>& fill) {
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const hid_t plan = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(plan, 4, chunk.data());
  prepare(plan);
  const hid_t space = H5Screate_simple(4, kShape.data(), nullptr);
  const hid_t set = H5Dcreate2(file, "images", H5T_STD_U8LE, space, H5P_DEFAULT, plan, H5P_DEFAULT);
  ASSERT_GE(set, 0);
  fill(set);
  H5Dclose(set), H5Sclose(space), H5Pclose(plan), H5Fclose(file);
}

std::vector<std::byte> item_of(const ShardSource& source, std::int64_t index) {
  std::vector<std::byte> item(source.info().item_bytes());
  source.read(index, item);
  return item;
}

TEST(Hdf5Layouts, ChunksThatWereNeverWrittenHoldTheFillValue) {
  const TemporaryDirectory directory;
  const std::uint8_t fill = 77;
  std::vector<std::uint8_t> written(180, 5);
  for (const bool filtered : {false, true}) {
    make_by_chunks(
        directory / "a.h5", {2, 6, 5, 3},
        [&](hid_t plan) {
          H5Pset_fill_value(plan, H5T_NATIVE_UINT8, &fill);
          if (filtered) H5Pset_deflate(plan, 1);
        },
        [&](hid_t set) {
          const hid_t space = H5Dget_space(set);
          const hsize_t start[4] = {4, 0, 0, 0}, count[4] = {2, 6, 5, 3}, size = written.size();
          H5Sselect_hyperslab(space, H5S_SELECT_SET, start, nullptr, count, nullptr);
          const hid_t memory = H5Screate_simple(1, &size, nullptr);
          ASSERT_GE(H5Dwrite(set, H5T_NATIVE_UINT8, memory, space, H5P_DEFAULT, written.data()), 0);
          H5Sclose(memory), H5Sclose(space);
        });
    const auto source = open_source({directory / "a.h5"});
    for (std::int64_t i = 0; i < 23; ++i) {
      const std::vector<std::byte> expected(90, static_cast<std::byte>(i == 4 || i == 5 ? 5 : 77));
      EXPECT_EQ(item_of(*source, i), expected) << i;
    }
  }
}

TEST(Hdf5Layouts, FiltersThatSkippedAChunkAreNotUndone) {
  const TemporaryDirectory directory;
  const std::vector<std::uint8_t> plain(90, 9);
  make_by_chunks(directory / "a.h5", {1, 6, 5, 3}, shuffle_deflate, [&](hid_t set) {
    for (hsize_t i = 0; i < 23; ++i) {
      const hsize_t start[4] = {i, 0, 0, 0};
      ASSERT_GE(H5Dwrite_chunk(set, H5P_DEFAULT, 3, start, plain.size(), plain.data()), 0);
    }
  });
  EXPECT_EQ(item_of(*open_source({directory / "a.h5"}), 11), std::vector<std::byte>(90, std::byte{9}));
}

// What liblzf makes of "abcabcabc..." (90 bytes): 3 literals, a copy of 83 and one of 4, both from 3 back.
TEST(Hdf5Layouts, LzfOfH5pyIsUnderstood) {
  const TemporaryDirectory directory;
  const std::vector<std::uint8_t> packed = {2, 'a', 'b', 'c', 0xe0, 74, 2, 0x40, 2};
  const unsigned parameters[3] = {4, 0x0105, 90};
  make_by_chunks(
      directory / "a.h5", {1, 6, 5, 3},
      [&](hid_t plan) { ASSERT_GE(H5Pset_filter(plan, 32000, H5Z_FLAG_OPTIONAL, 3, parameters), 0); },
      [&](hid_t set) {
        for (hsize_t i = 0; i < 23; ++i) {
          const hsize_t start[4] = {i, 0, 0, 0};
          ASSERT_GE(H5Dwrite_chunk(set, H5P_DEFAULT, 0, start, packed.size(), packed.data()), 0);
        }
      });
  std::vector<std::byte> expected;
  for (int k = 0; k < 90; ++k) expected.push_back(static_cast<std::byte>("abc"[k % 3]));
  EXPECT_EQ(item_of(*open_source({directory / "a.h5"}), 22), expected);
}

TEST(Hdf5Layouts, FiltersThatNobodyHereKnowsAreNamed) {
  const TemporaryDirectory directory;
  make_by_chunks(
      directory / "a.h5", {1, 6, 5, 3}, [](hid_t plan) { H5Pset_filter(plan, 32015, H5Z_FLAG_OPTIONAL, 0, nullptr); },
      [](hid_t set) {
        const std::vector<std::uint8_t> packed(40, 1);
        for (hsize_t i = 0; i < 23; ++i) {
          const hsize_t start[4] = {i, 0, 0, 0};
          ASSERT_GE(H5Dwrite_chunk(set, H5P_DEFAULT, 0, start, packed.size(), packed.data()), 0);
        }
      });
  try {
    const auto source = open_source({directory / "a.h5"});
    FAIL() << "was opened: " << source->info().description;
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kInput);
    EXPECT_THAT(error.what(), HasSubstr("Zstandard"));
  }
}

/// The message of reading item 0 of a copy of `bytes` in which byte `at` is turned, or "read".
std::string read_damaged(const std::string& path, std::vector<char> bytes, std::size_t at) {
  bytes[at] = static_cast<char>(~bytes[at]);
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  try {
    const auto source = open_source({path});
    for (std::int64_t i = 0; i < 23; ++i) item_of(*source, i);
  } catch (const core::Error& error) {
    EXPECT_EQ(error.code(), core::ExitCode::kInput) << error.what();
    return error.what();
  }
  return "read";
}

TEST(Hdf5Layouts, DamageInFilteredChunksIsNoticedEverywhere) {
  const TemporaryDirectory directory;
  const std::string path = directory / "a.h5";
  make(path, {"", {4, 6, 5, 3}, everything}, H5F_LIBVER_V18, 0, false);
  const auto source = open_source({path});
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
  // zlib streams begin with 0x78; the first chunk begins with the first one that is read as such.
  const std::string whole(bytes.begin(), bytes.end());
  const std::size_t first = whole.find("\x78\xda");
  ASSERT_NE(first, std::string::npos);
  for (std::size_t at = first; at < first + 60; ++at) {
    EXPECT_THAT(read_damaged(directory / "b.h5", bytes, at), HasSubstr("of /images in")) << at;
  }
}

TEST(Hdf5Layouts, ATruncatedFileIsRefusedWithItsSizes) {
  const TemporaryDirectory directory;
  const std::string path = directory / "a.h5";
  make(path, {"", {4, 6, 5, 3}}, H5F_LIBVER_EARLIEST, 0, false);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 100);
  EXPECT_THROW(open_source({path}), core::Error);
}

TEST(Hdf5Layouts, FloatingPointPixelsAreReadByTheRangeThatIsNamed) {
  const TemporaryDirectory directory;
  const std::string path = directory / "a.h5";
  struct Range {
    const char* text;
    double black, white;
  };
  for (const Range& range : {Range{"0..1", 0, 1}, Range{"-1..1", -1, 1}, Range{"0..255", 0, 255}}) {
    for (const hid_t type : {H5T_IEEE_F32LE, H5T_IEEE_F32BE, H5T_IEEE_F64LE}) {
      std::vector<double> values(23 * 6 * 5 * 3);
      for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = range.black + (range.white - range.black) * level(i) / 255;
      }
      const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
      const hid_t space = H5Screate_simple(4, kShape.data(), nullptr);
      const hid_t set = H5Dcreate2(file, "pictures", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
      H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
      H5Dclose(set), H5Sclose(space), H5Fclose(file);
      expect_levels(*open_source({path + ":/pictures@" + range.text}));
    }
  }
  const auto wrong = open_source({path + ":/pictures@0..1"});  // it holds 0 to 255
  EXPECT_THROW(item_of(*wrong, 3), core::Error);
  EXPECT_THROW(open_source({path + ":/pictures"}), core::Error);
  EXPECT_THROW(open_source({path + ":/pictures@1..0"}), core::Error);
}

}  // namespace
}  // namespace pathline::data
