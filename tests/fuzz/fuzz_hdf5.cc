// SPDX-License-Identifier: Apache-2.0
// HDF5 files: our store, contiguous and chunked, and files of others in the library's oldest and newest formats.
#include <hdf5.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "core/file_system.h"
#include "data/image_store_writer.h"
#include "data/shard_source.h"
#include "data/store_columns.h"
#include "tests/fuzz/pictures.h"

namespace pathline::fuzz {

namespace {

constexpr std::int64_t kMostItems = 16;
constexpr std::size_t kMostBytes = std::size_t{1} << 22;

/// A file in memory with a path.
class MemoryFile {
 public:
  explicit MemoryFile(std::span<const std::uint8_t> bytes) : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    if (::write(descriptor_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) std::abort();
  }
  ~MemoryFile() { ::close(descriptor_); }
  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

/// Everything that a reader may ask of a set.
void read(const data::ShardSource& source) {
  const data::SetInfo& info = source.info();
  if (info.item_bytes() > kMostBytes) return;
  std::vector<std::byte> item(info.item_bytes()), mask(static_cast<std::size_t>(info.height * info.width));
  std::vector<float> start(info.item_values()), text(info.text.values());
  if (info.kind == data::ItemKind::kPoint) mask.resize(info.item_values());
  for (std::int64_t i = 0; i < std::min(info.count, kMostItems); ++i) {
    expect_answer([&] { source.read(i, item); });
    (void)source.label(i), (void)source.stored_crc(i);
    if (source.has_starts()) expect_answer([&] { source.read_start(i, start); });
    if (source.has_masks()) expect_answer([&] { source.read_mask(i, mask); });
    if (info.null_text) expect_answer([&] { source.read_text(i, text); });
  }
}

Bytes content_of(const std::string& path) {
  core::PosixFileSystem files;
  const std::string text = core::read_text(files, path);
  ::unlink(path.c_str());
  return {text.begin(), text.end()};
}

std::string scratch() { return "/tmp/pathline-fuzz-" + std::to_string(::getpid()) + ".h5"; }

Bytes store(const data::hdf5::Chunking& chunking) {
  data::SetInfo info;
  info.count = 5, info.height = 4, info.width = 3, info.channels = 3, info.classes = 2;
  info.class_names = {"no", "yes"};
  {
    data::ImageStoreWriter writer(scratch(), info, "fuzz", chunking);
    for (std::int64_t i = 0; i < info.count; ++i) writer.append(std::vector<std::byte>(36, std::byte{7}), i % 2);
    const std::vector<float> floats(12);
    writer.add_floats("x0", {4, 3, 3}, [](std::int64_t) { return std::vector<float>(36); });
    writer.add_floats("text_embeddings", {2, 2}, [](std::int64_t) { return std::vector<float>(4); });
    writer.add_floats("text_pooled", {3}, [](std::int64_t) { return std::vector<float>(3); });
    writer.add_block("null_text", {2, 2}, std::span(floats).first(4));
    writer.add_block("null_pooled", {3}, std::span(floats).first(3));
    writer.finish();
  }
  return content_of(scratch());
}

struct Storage {
  hsize_t rows_a_chunk = 0;
  bool filters = false;
};

/// Images, labels and class names of somebody else.
Bytes foreign(H5F_libver_t low, hsize_t user_block, const Storage& storage) {
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS), creation = H5Pcreate(H5P_FILE_CREATE);
  H5Pset_libver_bounds(access, low, H5F_LIBVER_LATEST);
  H5Pset_userblock(creation, user_block);
  const hid_t file = H5Fcreate(scratch().c_str(), H5F_ACC_TRUNC, creation, access);
  const auto add = [&](const char* name, hid_t type, std::vector<hsize_t> shape) {
    const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
    const hid_t plan = H5Pcreate(H5P_DATASET_CREATE);
    if (storage.rows_a_chunk > 0) {
      shape[0] = std::min(shape[0], storage.rows_a_chunk);
      H5Pset_chunk(plan, static_cast<int>(shape.size()), shape.data());
    }
    if (storage.filters) H5Pset_shuffle(plan), H5Pset_deflate(plan, 1), H5Pset_fletcher32(plan);
    const hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    const std::vector<char> zeros(1 << 12);
    H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros.data());
    H5Dclose(set), H5Pclose(plan), H5Sclose(space);
  };
  add("imgs", H5T_NATIVE_UINT8, {6, 3, 5, 4});
  add("labels", H5T_STD_I16BE, {6});
  const hid_t text = H5Tcopy(H5T_C_S1);
  H5Tset_size(text, 5);
  add("class_names", text, {2});
  H5Tclose(text), H5Fclose(file), H5Pclose(creation), H5Pclose(access);
  return content_of(scratch());
}

/// One data set a picture, one with a palette.
Bytes pictures() {
  const hid_t file = H5Fcreate(scratch().c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const std::vector<std::uint8_t> values(768, 3);
  const auto add = [&](const char* name, const std::vector<hsize_t>& shape) {
    const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
    const hid_t set = H5Dcreate2(file, name, H5T_STD_U8LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Dwrite(set, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
    H5Dclose(set), H5Sclose(space);
  };
  const auto attribute = [&](const char* object, const char* name, hid_t type, const void* value) {
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t made = H5Acreate_by_name(file, object, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(made, type, value);
    H5Aclose(made), H5Sclose(space);
  };
  const auto word = [&](const char* object, const char* name, const std::string& value) {
    const hid_t text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, value.size());
    attribute(object, name, text, value.data());
    H5Tclose(text);
  };
  add("map", {256, 3}), add("a", {4, 5}), add("b", {3, 4, 5});
  word("a", "CLASS", "IMAGE"), word("a", "IMAGE_SUBCLASS", "IMAGE_INDEXED");
  hobj_ref_t reference{};
  H5Rcreate(&reference, file, "map", H5R_OBJECT, -1);
  attribute("a", "PALETTE", H5T_STD_REF_OBJ, &reference);
  word("b", "CLASS", "IMAGE"), word("b", "IMAGE_SUBCLASS", "IMAGE_TRUECOLOR");
  word("b", "INTERLACE_MODE", "INTERLACE_PLANE");
  H5Fclose(file);
  return content_of(scratch());
}

}  // namespace

std::vector<Bytes> seeds() {
  return {store({}),
          store({2, 4}),
          foreign(H5F_LIBVER_EARLIEST, 0, {}),
          foreign(H5F_LIBVER_EARLIEST, 512, {2, true}),
          foreign(H5F_LIBVER_V18, 0, {2, false}),
          foreign(H5F_LIBVER_V110, 0, {1, true}),
          pictures()};
}

}  // namespace pathline::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pathline;
  const fuzz::MemoryFile file({data, size});
  core::PosixFileSystem files;
  fuzz::expect_answer([&] { fuzz::read(*data::open_source({file.path()})); });
  fuzz::expect_answer([&] { fuzz::import_from(files, file.path()); });
  fuzz::expect_answer([&] { const data::WholeStore store({file.path()}); });
  return 0;
}
