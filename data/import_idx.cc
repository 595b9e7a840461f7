// SPDX-License-Identifier: Apache-2.0
// IDX, the format of MNIST and its relatives: 00 00 TYPE DIMENSIONS, the sizes as big-endian 32-bit numbers, the data.
// TYPE 8 is uint8. http://yann.lecun.com/exdb/mnist/
#include <algorithm>
#include <array>

#include "core/error.h"
#include "data/byte_stream.h"
#include "data/import_sources.h"
#include "data/little_endian.h"

namespace pathline::data {
namespace {

using core::ExitCode;

constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 40;

struct Idx {
  std::vector<std::int64_t> shape;
  std::vector<std::byte> values;
};

Idx read_idx(core::FileSystem& files, const std::string& path) {
  const auto stream = open_bytes(files, path);
  std::array<std::byte, 4> start{};
  read_exactly(*stream, start, path);
  PL_CHECK(is_idx(start), ExitCode::kInput, path, " is no IDX file of bytes. Check the path.");
  Idx idx;
  std::uint64_t expected = 1;
  for (int i = 0; i < std::to_integer<int>(start[3]); ++i) {
    std::array<std::byte, 4> size{};
    read_exactly(*stream, size, path);
    idx.shape.push_back(static_cast<std::int64_t>(big_endian(size, 0, 4)));
    const std::uint64_t dimension = big_endian(size, 0, 4);
    PL_CHECK(dimension > 0 && expected <= kMostBytes / dimension, ExitCode::kInput, path,
             " announces impossible sizes; it is damaged. Fetch or copy it again.");
    expected *= dimension;
  }
  idx.values = read_announced(*stream, expected, path);
  return idx;
}

/// "train-images-idx3-ubyte.gz" -> "train-labels-idx1-ubyte.gz", "train-labels-idx1-ubyte"; "" if there is none.
std::string label_file(core::FileSystem& files, const std::string& path) {
  std::string name = core::name_of(path);
  using Exchange = std::pair<std::string, std::string>;
  for (const auto& [from, to] : {Exchange{"images", "labels"}, {"idx3", "idx1"}, {"idx4", "idx1"}}) {
    if (const auto at = name.find(from); at != std::string::npos) name.replace(at, from.size(), to);
  }
  if (name == core::name_of(path)) return "";
  const bool packed = name.ends_with(".gz");
  const std::string other = packed ? name.substr(0, name.size() - 3) : name + ".gz";
  for (const auto& candidate : {name, other}) {
    const std::string found = core::join_path(core::parent_of(path), candidate);
    if (files.exists(found)) return found;
  }
  return "";
}

std::vector<std::int64_t> read_labels_of(core::FileSystem& files, const std::string& path, std::int64_t count) {
  if (path.empty()) return {};
  const Idx idx = read_idx(files, path);
  PL_CHECK(idx.shape == std::vector{count}, ExitCode::kInput, path, " does not hold one label for each of ", count,
           " pictures. Check that both files belong together.");
  std::vector<std::int64_t> labels;
  for (const std::byte value : idx.values) labels.push_back(std::to_integer<std::int64_t>(value));
  return labels;
}

}  // namespace

bool is_idx(std::span<const std::byte> start) {
  return start.size() >= 4 && big_endian(start, 0, 3) == 8 && start[3] >= std::byte{1} && start[3] <= std::byte{4};
}

std::unique_ptr<PictureSource> open_idx(core::FileSystem& files, const std::string& path) {
  Idx images = read_idx(files, path);
  PL_CHECK(images.shape.size() >= 3, ExitCode::kInput, path,
           " is an IDX file without pictures (labels have one dimension). Give the file of images; its labels are "
           "found beside it.");
  const std::string labels_path = label_file(files, path);
  SetInfo info;
  info.count = images.shape[0];
  info.height = images.shape[1];
  info.width = images.shape[2];
  info.channels = images.shape.size() == 4 ? images.shape[3] : 1;
  PL_CHECK(info.channels == 1 || info.channels == 3, ExitCode::kInput, path, " has ", info.channels,
           " channels; 1 (grey) and 3 (RGB) can be imported.");
  auto labels = read_labels_of(files, labels_path, info.count);
  if (!labels.empty()) info.classes = *std::max_element(labels.begin(), labels.end()) + 1;
  info.description =
      core::concat("IDX file, ", info.count, " pictures, ",
                   labels.empty() ? "no label file beside it" : "labels from " + core::name_of(labels_path));
  return pictures_of(source_in_memory(std::move(info), std::move(images.values), std::move(labels)),
                     file_stamp(files, path));
}

}  // namespace pathline::data
