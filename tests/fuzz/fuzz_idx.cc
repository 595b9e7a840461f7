// SPDX-License-Identifier: Apache-2.0
// IDX images, plain and gzipped; half of an input are the labels beside them.
#include <algorithm>

#include "data/import.h"
#include "tests/fuzz/pictures.h"
#include "tests/support/memory_file_system.h"

namespace pathline::fuzz {

namespace {

constexpr const char* kImages = "t-images-idx3-ubyte";
constexpr const char* kLabels = "t-labels-idx1-ubyte";
constexpr std::size_t kLabelBytes = 64;  // the first of an input

void put(core::FileSystem& files, const char* name, std::span<const std::uint8_t> bytes) {
  core::replace_file(files, name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace

std::vector<Bytes> seeds() {
  std::vector<Bytes> made;
  const Bytes labels = {0, 0, 8, 1, 0, 0, 0, 4, 3, 0, 2, 1};
  Bytes grey = {0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 6, 0, 0, 0, 5},
        colour = {0, 0, 8, 4, 0, 0, 0, 4, 0, 0, 0, 6, 0, 0, 0, 5, 0, 0, 0, 3};
  grey.resize(grey.size() + 4 * 30, 7);
  colour.resize(colour.size() + 4 * 90, 9);
  for (const Bytes& images : {grey, colour, gzipped(grey)}) {
    for (const Bytes& beside : {labels, gzipped(labels)}) {
      Bytes both = beside;
      both.resize(kLabelBytes, 0);
      both.insert(both.end(), images.begin(), images.end());
      made.push_back(both);
    }
  }
  return made;
}

}  // namespace pathline::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pathline::fuzz;
  const std::span<const std::uint8_t> all(data, size);
  const std::size_t labels = std::min(size, kLabelBytes);
  pathline::tests::MemoryFileSystem files;
  expect_answer([&] {
    put(files, kLabels, all.first(labels));
    put(files, kImages, all.subspan(labels));
    import_from(files, kImages);
  });
  return 0;
}
